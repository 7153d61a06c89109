/* The bodies of the frames; docs/protocol.md describes them. */
#ifndef BELLJAR_EVENT_H
#define BELLJAR_EVENT_H
#include "names.h"
#include "encode.h"

/* `alive`: there is a thread state, so that objects may be looked at. `slot`: where the answer is
 * awaited, -1 where none is. */
void bj_put_event(struct bj_buf *b, const struct bj_name *known, const char *name, PyObject *args,
                  int alive, int slot);
void bj_put_hello(struct bj_buf *b, const char *version, const unsigned char *words, size_t size,
                  uint64_t drops);
#endif
