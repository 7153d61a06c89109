/* seccomp: what a guest needs to take more away from itself. */
#include "filter.h"
#include "pieces.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whoever is inside may narrow itself further (docs/narrow.md), and a branch does (docs/branches.md):
 * another Landlock layer, and filters of ours (pieces.c). Both only ever take away, from the caller and its children. */
void further_calls(struct filter *f, const struct plan *plan)
{
    static const int LAYERS[] = {444, 445, 446}; /* landlock_create_ruleset, _add_rule, _restrict_self */
    for (size_t i = 0; i < sizeof LAYERS / sizeof *LAYERS; i++)
        on_call(f, LAYERS[i], SECCOMP_RET_ALLOW);
    unsigned b = begin(f, __NR_seccomp);
    low(f, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_SET_MODE_FILTER, 1, 0);
    answer(f, ERRNO(EPERM));
    low(f, 1);
    if (plan->here || syscall(PIECES_SEAL, 0, 0, 0) < 0) { /* confine() again; an older kernel: any of its own */
        allow_value(f, 0);
        allow_value(f, SECCOMP_FILTER_FLAG_TSYNC);
        answer(f, ERRNO(EPERM));
    }
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_FILTER_FLAG_TSYNC, 1, 0);
    answer(f, ERRNO(EPERM));
    high(f, 2);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(PIECES_AT >> 32), 1, 0);
    answer(f, ERRNO(EPERM));
    low(f, 2);
    for (uint32_t i = 0; i < PIECES; i++)
        allow_value(f, (uint32_t)PIECES_AT + i * PIECES_STEP);
    answer(f, ERRNO(EPERM));
    done(f, b);
    /* changes nothing, and tells whether there are other threads (unshare(2)): procfs is out of reach */
    b = begin(f, __NR_unshare);
    low(f, 0);
    allow_value(f, CLONE_THREAD);
    answer(f, ERRNO(EPERM));
    done(f, b);
}
