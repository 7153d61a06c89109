/* Programs that are started without an event that says so: by native code, by
 * `_posixsubprocess.fork_exec` before CPython 3.14, or while the hook is not called. */
#ifndef BELLJAR_STARTS_H
#define BELLJAR_STARTS_H
#include "names.h"

extern __thread int bj_start_announced __attribute__((tls_model("initial-exec")));
extern __thread int bj_start_served __attribute__((tls_model("initial-exec")));

/* Every event of this thread: does it announce the start of a program? */
static inline void bj_starts_heard(const struct bj_name *known)
{
    bj_start_served = 0;
    if (known->flags & BJ_NAME_STARTS)
        bj_start_announced = 1;
}

/* This thread, or a vfork child on its stack, is about to start a program. Allocates nothing. */
void bj_starts(const char *path, char *const argv[]);
void bj_starts_forked(void); /* in the parent: what was announced is the child's */
#endif
