/* The system-call filter: an allow-list. What is not named answers ENOSYS, as an older kernel
 * would, so that libraries fall back; what is named as refused answers EPERM or EACCES, so that
 * Python raises PermissionError; another machine's calling convention ends the process.
 * Reasons for the refusals stand beside them. seccomp(2), Documentation/userspace-api/seccomp_filter.rst */
#include "filter.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "Belljar's filter is written for x86-64 and arm64"
#endif
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "argument offsets assume little-endian");

static const int ALLOWED[] = {
#include "syscalls_allowed.h"
};
static const int REFUSED[] = {
#include "syscalls_refused.h"
};

/* set-id modes: a set-uid file planted through a write grant would be one on the host */
static void mode_call(struct filter *f, int call, int arg, uint32_t good)
{
    unsigned b = begin(f, call);
    low(f, arg);
    refuse_bits(f, S_ISUID | S_ISGID, ERRNO(EPERM));
    answer(f, good);
    done(f, b);
}

/* if (nr == call and its flags say that the descriptor itself is meant) refuse */
static void empty_path(struct filter *f, int call, int flags_arg)
{
    unsigned b = begin(f, call);
    low(f, flags_arg);
    refuse_bits(f, AT_EMPTY_PATH, ERRNO(EPERM));
    load_nr(f);
    done(f, b);
}

/* if (nr == call and its second argument is NULL) refuse */
static void no_path(struct filter *f, int call)
{
    unsigned b = begin(f, call);
    low(f, 1);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
    high(f, 1);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    answer(f, ERRNO(EPERM));
    load_nr(f);
    done(f, b);
}

/* Where something may only be added to, the keeper opens what is created or appended to (appends.c);
 * all other opens are the kernel's alone. */
static void opens(struct filter *f, const struct plan *plan, int call, int flags_arg)
{
    bool asks = plan->n_appends > 0;
    uint32_t made = asks ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
    unsigned b = begin(f, call);
    low(f, flags_arg);
    emit(f, BPF_JMP | BPF_JSET | BPF_K, O_CREAT | (O_TMPFILE & ~O_DIRECTORY), asks ? 3 : 1, 0);
    if (asks) {
        emit(f, BPF_JMP | BPF_JSET | BPF_K, O_APPEND, 0, 1);
        answer(f, made);
    }
    answer(f, SECCOMP_RET_ALLOW); /* creates nothing: the mode argument is noise */
    low(f, flags_arg + 1);
    refuse_bits(f, S_ISUID | S_ISGID, ERRNO(EPERM));
    answer(f, made);
    done(f, b);
}

static void memory_calls(struct filter *f)
{
    unsigned b = begin(f, __NR_mmap);
    low(f, 3);
    refuse_bits(f, MAP_GROWSDOWN | MAP_HUGETLB, ERRNO(EPERM)); /* not counted by RLIMIT_DATA */
    answer(f, SECCOMP_RET_ALLOW);
    done(f, b);
    on_call(f, __NR_memfd_create, ERRNO(ENOSYS)); /* memory that no limit of the process counts */
}

static void process_calls(struct filter *f, const struct plan *plan, uint64_t secret)
{
    unsigned b = begin(f, __NR_clone);
    low(f, 0);
    refuse_bits(f, 0x7e020080 | 0x80 /* CLONE_NEW*, CLONE_NEWTIME */, ERRNO(EPERM));
    if (plan->allow_branch) { /* fork(3) and vfork(3), as the C library has them, and nothing else */
        allow_value(f, CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD);
        allow_value(f, CLONE_VM | CLONE_VFORK | SIGCHLD);
    }
    if (!plan->allow_fork) { /* threads only */
        emit(f, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
        answer(f, ERRNO(EPERM));
    }
    answer(f, SECCOMP_RET_ALLOW);
    done(f, b);
    on_call(f, __NR_clone3, ERRNO(ENOSYS)); /* its flags lie in memory: the C library falls back */
#ifdef __NR_fork
    on_call(f, __NR_fork, plan->allow_fork ? SECCOMP_RET_ALLOW : ERRNO(EPERM));
    on_call(f, __NR_vfork, plan->allow_fork || plan->allow_branch ? SECCOMP_RET_ALLOW : ERRNO(EPERM));
#endif
    b = begin(f, __NR_execve);
    if (plan->allow_exec) {
        answer(f, SECCOMP_RET_ALLOW); /* Landlock's execute right names the programs */
    } else if (plan->here) {
        answer(f, ERRNO(EACCES)); /* the interpreter runs already */
    } else {
        low(f, 0);
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)secret, 1, 0);
        answer(f, ERRNO(EACCES));
        high(f, 0);
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(secret >> 32), 1, 0);
        answer(f, ERRNO(EACCES));
        answer(f, SECCOMP_RET_ALLOW);
    }
    done(f, b);
    /* limits only of oneself: 0, because a number could be another process of the same user */
    b = begin(f, __NR_prlimit64);
    low(f, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    answer(f, ERRNO(EPERM));
    low(f, 1); /* a core limit of 0 would feed a core_pattern pipe again (core(5)) */
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, RLIMIT_CORE, 0, 3);
    low(f, 2);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    answer(f, ERRNO(EPERM));
    answer(f, SECCOMP_RET_ALLOW);
    done(f, b);
    b = begin(f, __NR_setrlimit);
    low(f, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, RLIMIT_CORE, 0, 1);
    answer(f, ERRNO(EPERM));
    answer(f, SECCOMP_RET_ALLOW);
    done(f, b);
    if (plan->tier == TIER_LANDLOCK) { /* no PID namespace: only itself can be signalled */
        static const int KILLS[] = {__NR_kill, __NR_tgkill, __NR_rt_sigqueueinfo, __NR_rt_tgsigqueueinfo};
        for (size_t i = 0; i < sizeof KILLS / sizeof *KILLS; i++) {
            b = begin(f, KILLS[i]);
            low(f, 0);
            allow_value(f, (uint32_t)getpid());
            answer(f, plan->allow_kill ? SECCOMP_RET_ALLOW : ERRNO(EPERM));
            done(f, b);
        }
        static const int OTHERS[] = {__NR_sched_setaffinity, __NR_setpriority, __NR_sched_setscheduler,
                                     __NR_sched_setparam, __NR_ioprio_set, __NR_getpgid, __NR_getsid};
        for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
            on_call(f, OTHERS[i], ERRNO(EPERM));
    } else {
        if (plan->allow_branch) { /* branches are each other's prey: only of the caller itself */
            b = begin(f, __NR_sched_setaffinity);
            low(f, 0);
            allow_value(f, 0);
            answer(f, ERRNO(EPERM));
            done(f, b);
        }
        static const int KILLS[] = {__NR_kill, __NR_tgkill, __NR_rt_sigqueueinfo, __NR_rt_tgsigqueueinfo,
                                    __NR_sched_setaffinity, __NR_getpgid, __NR_getsid};
        for (size_t i = 0; i < sizeof KILLS / sizeof *KILLS; i++)
            on_call(f, KILLS[i], SECCOMP_RET_ALLOW);
    }
    static const int OPERATIONS[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_PDEATHSIG /* set it dies with init */,
                                     PR_GET_NO_NEW_PRIVS, PR_SET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_CAPBSET_READ,
                                     PR_GET_TIMERSLACK, PR_SET_TIMERSLACK, PR_GET_THP_DISABLE, PR_GET_SECUREBITS,
                                     PR_GET_CHILD_SUBREAPER, 0x53564d41 /* PR_SET_VMA: names for maps */};
    b = begin(f, __NR_prctl);
    low(f, 0);
    for (size_t i = 0; i < sizeof OPERATIONS / sizeof *OPERATIONS; i++)
        allow_value(f, (uint32_t)OPERATIONS[i]);
    answer(f, ERRNO(EINVAL));
    done(f, b);
}

/* For granted devices, where the policy accepts it: the filter cannot see which file a request is
 * for, so by kind: none to terminals, sockets, file systems, disks, or the console's keyboard. */
static void requests_of_devices(struct filter *f)
{
    static const unsigned KINDS[] = {0x5400, 0x8900, 0x8b00, 0x6600 /* 'f' */, 0x5800 /* 'X' */, 0x7600 /* 'v' */,
                                     0x9400 /* btrfs */, 0x1200 /* disks */, 0x4b00 /* 'K' */, 0x4500 /* 'E' */};
    low(f, 1);
    emit(f, BPF_ALU | BPF_AND | BPF_K, 0xff00, 0, 0);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, KINDS[i], 0, 1);
        answer(f, ERRNO(ENOTTY));
    }
    answer(f, SECCOMP_RET_ALLOW);
}

static void device_calls(struct filter *f, const struct plan *plan)
{
    static const unsigned REQUESTS[] = {0x5401 /* TCGETS */, 0x5413 /* TIOCGWINSZ */,
                                        0x5421 /* FIONBIO */, 0x5450 /* FIONCLEX */, 0x5451 /* FIOCLEX */,
                                        0x5452 /* FIOASYNC */};
    /* Above all no TIOCSTI and no interface requests; no FIONREAD, with which a guest could see
     * how long the host looks at each of its events. */
    unsigned b = begin(f, __NR_ioctl);
    low(f, 1);
    for (size_t i = 0; i < sizeof REQUESTS / sizeof *REQUESTS; i++)
        allow_value(f, REQUESTS[i]);
    if (plan->allow_ioctl)
        requests_of_devices(f);
    answer(f, ERRNO(ENOTTY));
    done(f, b);
    /* signals sent by descriptor, and leases that make the host's open() wait */
    static const unsigned COMMANDS[] = {F_SETOWN, F_SETOWN_EX, F_SETSIG, F_SETLEASE, F_NOTIFY};
    unsigned c = begin(f, __NR_fcntl);
    low(f, 1);
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, COMMANDS[i], 0, 1);
        answer(f, ERRNO(EPERM));
    }
    answer(f, SECCOMP_RET_ALLOW);
    done(f, c);
}

static void file_calls(struct filter *f, const struct plan *plan)
{
    uint32_t metadata = plan->allow_metadata ? SECCOMP_RET_ALLOW : ERRNO(EPERM);
    /* The mode of a file that the host lent open is its owner's to change, also by a descriptor for
     * reading, and no mount of ours lies between: what names no path is refused. */
    uint32_t bare = plan->lent ? ERRNO(EPERM) : metadata;
    mode_call(f, __NR_fchmod, 1, bare);
    mode_call(f, __NR_fchmodat, 2, metadata);
    if (plan->lent)
        empty_path(f, 452 /* fchmodat2 */, 3);
    mode_call(f, 452, 2, metadata);
    if (plan->lent) {
        empty_path(f, __NR_fchownat, 4);
        no_path(f, __NR_utimensat);
#ifdef __NR_futimesat
        no_path(f, __NR_futimesat);
#endif
    }
    mode_call(f, __NR_mkdirat, 2, SECCOMP_RET_ALLOW);
    mode_call(f, __NR_mknodat, 2, SECCOMP_RET_ALLOW);
    unsigned b = begin(f, __NR_renameat2);
    low(f, 4);
    refuse_bits(f, 4 /* RENAME_WHITEOUT: leaves a device behind */, ERRNO(EINVAL));
    answer(f, SECCOMP_RET_ALLOW);
    done(f, b);
    on_call(f, __NR_fchown, bare);
    static const int METADATA[] = {__NR_fchownat, __NR_utimensat};
    for (size_t i = 0; i < sizeof METADATA / sizeof *METADATA; i++)
        on_call(f, METADATA[i], metadata);
#ifdef __NR_open
    opens(f, plan, __NR_open, 1);
    mode_call(f, __NR_creat, 1, plan->n_appends ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW);
    mode_call(f, __NR_chmod, 1, metadata);
    mode_call(f, __NR_mkdir, 1, SECCOMP_RET_ALLOW);
    mode_call(f, __NR_mknod, 1, SECCOMP_RET_ALLOW);
    static const int OLD[] = {__NR_chown, __NR_lchown, __NR_utime, __NR_utimes, __NR_futimesat};
    for (size_t i = 0; i < sizeof OLD / sizeof *OLD; i++)
        on_call(f, OLD[i], metadata);
#endif
    static const int XATTR[] = {__NR_setxattr, __NR_lsetxattr, __NR_fsetxattr,
                                __NR_removexattr, __NR_lremovexattr, __NR_fremovexattr};
    for (size_t i = 0; i < sizeof XATTR / sizeof *XATTR; i++)
        on_call(f, XATTR[i], ERRNO(EOPNOTSUPP)); /* what shutil.copystat takes for an answer */
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static bool is_allowed(int call)
{
    for (size_t i = 0; i < sizeof ALLOWED / sizeof *ALLOWED; i++)
        if (ALLOWED[i] == call)
            return true;
    return false;
}

/* Neighbours as one range: a short filter is compiled and checked faster at every start. `across`:
 * what is allowed was answered before, and may lie within. */
static void ranges(struct filter *f, const int *list, size_t count, uint32_t what, bool across)
{
    int calls[256];
    if (count > sizeof calls / sizeof *calls)
        fail("seccomp", E2BIG, "calls");
    memcpy(calls, list, count * sizeof *calls);
    qsort(calls, count, sizeof *calls, by_number);
    for (size_t i = 0, j; i < count; i = j) {
        for (j = i + 1; j < count; j++) {
            int next = calls[j - 1] + 1;
            while (across && next < calls[j] && is_allowed(next))
                next++;
            if (next < calls[j])
                break;
        }
        emit(f, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)calls[i], 0, 2);
        emit(f, BPF_JMP | BPF_JGT | BPF_K, (uint32_t)calls[j - 1], 1, 0);
        answer(f, what);
    }
}

/* Landlock has no right for these, and without mounts every path of the host can be named. */
static void refuse_what_landlock_misses(struct filter *f)
{
    static const int CALLS[] = {
#ifdef __NR_inotify_init
        __NR_inotify_init,
#endif
        __NR_inotify_init1, __NR_inotify_add_watch, __NR_getxattr, __NR_lgetxattr, __NR_fgetxattr,
        __NR_listxattr, __NR_llistxattr, __NR_flistxattr, __NR_statfs,
    };
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        on_call(f, CALLS[i], ERRNO(EPERM));
    if (landlock_abi_version() < 3) /* it cannot tell truncate(2) from nothing before; open(2) is held */
        on_call(f, __NR_truncate, ERRNO(EPERM));
}

/* The timer that ends this process on time is not its own to stop. */
static void keep_clock(struct filter *f, int clock)
{
    static const int CALLS[] = {__NR_timer_settime, __NR_timer_delete};
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        unsigned b = begin(f, CALLS[i]);
        low(f, 0);
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)clock, 0, 1);
        answer(f, ERRNO(EPERM));
        answer(f, SECCOMP_RET_ALLOW);
        done(f, b);
    }
}

int apply_seccomp(const struct plan *plan, const void *secret)
{
    static struct filter f;
    f.n = 0;
    load(&f, offsetof(struct seccomp_data, arch));
    emit(&f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    answer(&f, SECCOMP_RET_KILL_PROCESS);
    load_nr(&f);
#ifdef __x86_64__
    emit(&f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1); /* the x32 convention */
    answer(&f, SECCOMP_RET_KILL_PROCESS);
#endif
    /* The kernel remembers calls that are always allowed and does not run the filter for them;
     * those with arguments to look at pay for every instruction before theirs: frequent first. */
    opens(&f, plan, __NR_openat, 2);
    send_calls(&f, plan);
    device_calls(&f, plan);
    memory_calls(&f);
    if (plan->tier == TIER_LANDLOCK)
        refuse_what_landlock_misses(&f);
    if (plan->here && plan->clock >= 0)
        keep_clock(&f, plan->clock);
    /* early, because the kernel tries every call on the filter at the start */
    ranges(&f, ALLOWED, sizeof ALLOWED / sizeof *ALLOWED, SECCOMP_RET_ALLOW, false);
    file_calls(&f, plan);
    process_calls(&f, plan, (uint64_t)(uintptr_t)secret);
    network_calls(&f, plan);
    further_calls(&f, plan);
    ranges(&f, REFUSED, sizeof REFUSED / sizeof *REFUSED, ERRNO(EPERM), true);
    answer(&f, ERRNO(ENOSYS));

    struct sock_fprog program = {.len = f.n, .filter = f.code};
    unsigned flags = mediates(plan) ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    if (plan->here)
        flags = SECCOMP_FILTER_FLAG_TSYNC; /* all threads, and no_new_privs for them */
    long got = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (got < 0)
        fail("seccomp", errno, "filter");
    if (plan->here && got > 0)
        fail("seccomp", EBUSY, "a thread has a filter of its own");
    return mediates(plan) ? (int)got : -1;
}
