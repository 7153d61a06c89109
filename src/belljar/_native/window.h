/* The window: refuses in the guest, with a name and a stack, what the walls would refuse anyway.
 * It decides nothing that a wall does not decide too, and leaves to the walls what it cannot
 * tell from the event. */
#ifndef BELLJAR_WINDOW_H
#define BELLJAR_WINDOW_H
#include "pyapi.h"

/* An event that names files. Positions are -1 where there is none. `need` is what each path
 * needs: r, w, l, x (to be there), o (what the mode of open says), 0 (nothing is judged). */
struct bj_file_event {
    const char *name;
    signed char path[2], dir_fd[2];
    char need[3]; /* a letter for each path, and the end */
};

enum bj_verdict { BJ_PASS, BJ_UNSURE, BJ_MISSING, BJ_FORBIDDEN };

int bj_window_load(const char *file); /* -1: cannot be read or understood */
int bj_window_set(const char *table);   /* in a process that confines itself; once. -1: as above */
int bj_window_is_open(void);
int bj_window_is_own(void);             /* set so: files only, and refusals are explained */
const struct bj_file_event *bj_file_event(const char *name);
enum bj_verdict bj_window_judge(const struct bj_file_event *event, PyObject *args);
void bj_window_raise(const struct bj_file_event *event, PyObject *args, enum bj_verdict verdict);
#endif
