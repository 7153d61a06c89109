/* Copies of this process. Those that `fork` makes are told of by the C library; one that a bare
 * system call made, or `_Fork`, is noticed by a page that the kernel clears in it. */
#ifndef BELLJAR_COPIES_H
#define BELLJAR_COPIES_H

extern volatile unsigned char *bj_copies_mark; /* NULL: copies cannot be noticed here */

void bj_copies_note(void); /* this process is known */
void bj_copies_forked(void);

static inline int bj_copies_are_known(void) { return bj_copies_mark != (void *)0; }

/* A copy becomes a process of its own: it says hello and counts from 1. */
static inline void bj_copies_adopt(void)
{
    if (bj_copies_mark != (void *)0 && *bj_copies_mark == 0)
        bj_copies_forked();
}
#endif
