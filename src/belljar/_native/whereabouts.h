/* What the names in an event mean at that moment: from which directory, and through which links. */
#ifndef BELLJAR_WHEREABOUTS_H
#define BELLJAR_WHEREABOUTS_H
#include "window.h"

/* The directory that the event's relative path is relative to, or what its descriptor stands for;
 * of two paths, the last that is relative. `room` has BJ_PATH bytes. NULL: no path of the event
 * needs one, or it cannot be told. */
const char *bj_base_of(const struct bj_file_event *event, PyObject *args, char *room);

/* The same for the path of a Unix socket: an event's second argument, a socket's address. */
const char *bj_base_of_address(PyObject *args, char *room);

/* What the event's path (of two, the last) leads to through symbolic links, where that is another
 * name than its letters say; NULL otherwise. */
const char *bj_resolved(const struct bj_file_event *event, PyObject *args, const char *base, char *room);
#endif
