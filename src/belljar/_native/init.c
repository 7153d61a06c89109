/* Init: PID 1 of the sandbox. C only, so that no Python ever runs under a PID that another
 * Python of the same template had (OpenSSL and tempfile tell forks apart by PID). It builds
 * the view, makes the guest with glibc's fork, reaps, and its end ends everything. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

/* The filter lets exactly one execve through: the one whose path pointer is this. It lies at
 * a random place in a random page that is gone once the program is replaced, so the guest
 * can neither know nor guess the number. */
static const char *secret_copy(const char *program)
{
    size_t size = 64 << 10, length = strlen(program) + 1;
    uint64_t dice[2];
    for (int tries = 0; tries < 64; tries++) {
        if (getrandom(dice, sizeof dice, 0) != (ssize_t)sizeof dice)
            fail("seccomp", errno, "getrandom");
        uintptr_t want = (dice[0] % ((uint64_t)1 << 46)) & ~(uint64_t)0xffff;
        if (want < (1 << 24))
            continue;
        char *page = mmap((void *)want, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (page != (char *)want)
            continue;
        char *place = page + dice[1] % (size - length);
        memcpy(place, program, length);
        return place;
    }
    fail("seccomp", ENOMEM, "no room for the program's name");
}

static void reset_signals(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int s = 1; s < NSIG; s++)
        if (s != SIGKILL && s != SIGSTOP)
            sigaction(s, &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void guest_main(struct plan *plan, int mapper)
{
    reset_signals();
    enter_session();
    if (chdir(plan->cwd) < 0)
        fail("cwd", errno, plan->cwd);
    /* the boot parameters take the first free number; everything else closes at exec */
    if (dup2(FD_GO, GUEST_FD_GO) < 0)
        fail("descriptors", errno, "go");
    int last = GUEST_FD_GO;
    if (plan->engine == ENGINE_TEMPLATE && dup2(mapper, last = TEMPLATE_FD_MAPPER) < 0)
        fail("descriptors", errno, "mapper");
    if (syscall(SYS_close_range, last + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        fail("descriptors", errno, "close_range");
    const char *secret = secret_copy(plan->probe ? "/" : plan->start ? plan->start : plan->program);
    confine(plan, secret);
    if (plan->probe) {
        run_probes(plan, true, say);
        say("inside done 0");
        for (;;)
            pause(); /* the last attempt is to outlive the host's patience */
    }
    execve(secret, plan->argv, plan->envp);
    fail("exec", errno, plan->program);
}

/* A template gets a PID that none of its guests comes to: OpenSSL and others know by the PID that
 * they were forked, and a guest is PID 2 of its own namespace. It is replaced by exec at once, so
 * that it is no fork of glibc's making is no harm. */
static pid_t fork_far(void)
{
    enum { FAR = 32700 }; /* below the kernel's least pid_max on machines of any size */
    pid_t number = FAR;
    struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&number, .set_tid_size = 1};
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* Where programs may be executed, the interpreter must not be one of them: it is executed once,
 * from a mount of its own, and stays visible on one that is noexec. Ends with a word to the host,
 * which lets the guest begin only then. */
static void take_start_away(const struct plan *plan, int started)
{
    char none;
    while (read(started, &none, 1) < 0 && errno == EINTR) {
    } /* the end of the pipe is the exec, or the guest's death */
    if (umount2(plan->start, 2 /* MNT_DETACH */) < 0)
        fail("mounts", errno, plan->start);
    say("sealed");
}

_Noreturn void init_main(struct plan *plan, int sync, int mapper)
{
    sync_fd = sync;
    die_with_parent(); /* the keeper has one thread, so this is the keeper's end and no less */
    char go;
    if (read(sync, &go, 1) != 1)
        _exit(1); /* the keeper ended before the signal was armed */
    become_guest_user(plan);
    die_with_parent(); /* changing user cleared it */
    enter_new_root(plan);
    raise_view(plan, sync);
    if (plan->tier == TIER_LANDLOCK && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        fail("init", errno, "subreaper");
    int started[2];
    if (pipe2(started, O_CLOEXEC) < 0)
        fail("init", errno, "pipe");
    pid_t guest = plan->engine == ENGINE_TEMPLATE ? fork_far() : fork();
    if (guest < 0)
        fail("init", errno, "fork");
    if (guest == 0) {
        if (plan->tier == TIER_LANDLOCK)
            die_with_parent();
        guest_main(plan, mapper);
    }
    prctl(PR_SET_NAME, "belljar-init");
    close(FD_GO);
    if (mapper >= 0)
        close(mapper);
    close(started[1]);
    if (plan->start)
        take_start_away(plan, started[0]);
    close(started[0]);
    for (int fd = 0; fd <= 2; fd++)
        close(fd); /* the streams end when the guest's copies do */
    for (;;) {
        int status;
        struct rusage used;
        pid_t pid = wait4(-1, &status, __WALL, &used);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid == guest)
            tell_exit(status, &used);
        else if (pid > 0 && plan->allow_branch)
            tell_left(pid, status, &used);
        if (pid < 0 || (pid == guest && !plan->allow_branch))
            _exit(0); /* with branches: when the last of them has ended */
    }
}
