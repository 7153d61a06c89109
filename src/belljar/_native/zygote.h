/* The two halves of the zygote: the loop that is called from Python, and what its children do. */
#ifndef BELLJAR_ZYGOTE_H
#define BELLJAR_ZYGOTE_H

#include <signal.h>

#include "keeper.h"

enum { GIVEN = 5 }; /* with a request: the socket to the keeper, the streams, the boot parameters */

/* What the guest would have been executed with; its own copies. */
struct told { char **env, **args; };

/* In a child that was cloned bare, as PID 1. Returns in the guest-to-be only. `child` is what the
 * interpreter had set for SIGCHLD. */
void become_guest(const int fds[GIVEN], const struct sigaction *child);

void note_handlers(void); /* before the first of them */

/* In the guest-to-be: waits for the view, and returns confined. */
struct told enter_walls(void);

/* settle.c: what makes the first steps of every guest cheaper, done once */
void settle_heaps(void);

#endif
