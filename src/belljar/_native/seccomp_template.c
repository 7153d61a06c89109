/* The filter of a template, which every filter of its guests is put on top of: what a guest may do,
 * and what its init needs to raise the walls. Nearly everything is answered without a look at
 * arguments, so that the kernel remembers it (seccomp's action cache) and a guest's own filter is
 * the only one that costs. The guest's own filter refuses all that is added here. */
#include "filter.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

static const int HARMLESS[] = {
#include "syscalls_allowed.h"
};
static const int REFUSED[] = {
#include "syscalls_refused.h"
};

/* What a guest's filter decides by arguments or by its plan. */
static const int LATER[] = {
    __NR_openat, __NR_mmap, __NR_execve, __NR_prlimit64, __NR_setrlimit, __NR_prctl, __NR_ioctl,
    __NR_fcntl, __NR_fchmod, __NR_fchmodat, 452 /* fchmodat2 */, __NR_mkdirat, __NR_mknodat, __NR_renameat2,
    __NR_fchown, __NR_fchownat, __NR_utimensat, __NR_kill, __NR_tgkill, __NR_rt_sigqueueinfo,
    __NR_rt_tgsigqueueinfo, __NR_sched_setaffinity, __NR_getpgid, __NR_getsid,
    __NR_sendto, __NR_sendmsg, __NR_sendmmsg, __NR_socket, __NR_socketpair, __NR_connect, __NR_bind,
    __NR_listen, __NR_accept, __NR_accept4, __NR_setsockopt, __NR_clone,
#ifdef __NR_open
    __NR_open, __NR_creat, __NR_chmod, __NR_mkdir, __NR_mknod, __NR_chown, __NR_lchown, __NR_utime,
    __NR_utimes, __NR_futimesat, __NR_fork, __NR_vfork,
#endif
};

/* What init needs, in namespaces of its own. */
static const int INIT[] = {
    __NR_clone3, __NR_mount, __NR_umount2, __NR_pivot_root, __NR_move_mount, __NR_mount_setattr,
    __NR_sethostname, __NR_setresuid, __NR_setresgid, __NR_setgroups, __NR_capset, __NR_seccomp,
    444 /* landlock_create_ruleset */, 445 /* landlock_add_rule */, 446 /* landlock_restrict_self */,
};

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

void apply_template_filter(void)
{
    static struct filter f;
    enum { A = sizeof HARMLESS / sizeof *HARMLESS, B = sizeof LATER / sizeof *LATER, C = sizeof INIT / sizeof *INIT };
    static int calls[A + B + C];
    memcpy(calls, HARMLESS, sizeof HARMLESS);
    memcpy(calls + A, LATER, sizeof LATER);
    memcpy(calls + A + B, INIT, sizeof INIT);
    qsort(calls, A + B + C, sizeof *calls, by_number);
    load(&f, offsetof(struct seccomp_data, arch));
    emit(&f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    answer(&f, SECCOMP_RET_KILL_PROCESS);
    load_nr(&f);
#ifdef __x86_64__
    emit(&f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1); /* the x32 convention */
    answer(&f, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0, j; i < A + B + C; i = j) {
        for (j = i + 1; j < A + B + C && calls[j] <= calls[j - 1] + 1; j++) {
        }
        emit(&f, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)calls[i], 0, 2);
        emit(&f, BPF_JMP | BPF_JGT | BPF_K, (uint32_t)calls[j - 1], 1, 0);
        answer(&f, SECCOMP_RET_ALLOW);
    }
    /* how a template learns that it has one thread: any other flag is a real one */
    unsigned b = begin(&f, __NR_unshare);
    low(&f, 0);
    emit(&f, BPF_JMP | BPF_JEQ | BPF_K, CLONE_THREAD, 0, 1);
    answer(&f, SECCOMP_RET_ALLOW);
    answer(&f, ERRNO(EPERM));
    done(&f, b);
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
        on_call(&f, REFUSED[i], ERRNO(EPERM));
    answer(&f, ERRNO(ENOSYS));
    struct sock_fprog program = {.len = f.n, .filter = f.code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        fail("seccomp", errno, "filter of a template");
}
