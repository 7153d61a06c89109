/* The cross-check's supervisor: what its files share. docs/cross-check.md says what it is for. */
#ifndef BELLJAR_TRACER_H
#define BELLJAR_TRACER_H
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* A letter for each argument. w: a path; d: the directory descriptor for the path (p) behind it;
 * f: the number that is told; o: where that number lies; t: a socket, whose type is the number;
 * n: a name; m: the descriptor of a file; s, S: an address and its length; h: a message. */
struct tracer_call { int nr; const char *name, *args; };
const struct tracer_call *tracer_lookup(const struct seccomp_data *data); /* NULL: not one of ours */
int tracer_is_native(const struct seccomp_data *data);                    /* else 32-bit */

/* Puts the filter on the calling thread; the listener, or -1 with errno. EBUSY: another one
 * listens in this tree already. */
int tracer_listen(void);

/* A whole frame that tells of the call, in `frame` of BJ_FRAME bytes; its size, or 0 where there is
 * nothing to tell. Reads the asking process; never writes to it. */
size_t tracer_describe(const struct seccomp_notif *ask, unsigned char *frame);

/* A frame about the supervision itself. */
size_t tracer_remark(const char *what, uint64_t number, const char *name, unsigned char *frame);

#endif
