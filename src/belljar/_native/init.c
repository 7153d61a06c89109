/* Init: PID 1 of the sandbox. C only, so that no Python ever runs under a PID that another
 * Python of the same template had (OpenSSL and tempfile tell forks apart by PID). It builds
 * the view, makes the guest with glibc's fork, reaps, and its end ends everything. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

static void say(const char *line)
{
    while (send(sync_fd, line, strlen(line), MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            _exit(1);
}

static void send_descriptor(const char *what, int fd)
{
    char text[16], space[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec iov = {text, (size_t)snprintf(text, sizeof text, "%s", what)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(sync_fd, &msg, MSG_NOSIGNAL) < 0)
        _exit(1);
    close(fd);
}

static void give_datagrams(int fd) { send_descriptor("datagrams", fd); }

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

/* The mounts travel some at a time: the kernel takes up to 253 descriptors in a message (SCM_MAX_FD). */
enum { AT_ONCE = 128 };

static void one_message(struct msghdr *msg, struct iovec *iov, char *space, size_t room, char *byte)
{
    *iov = (struct iovec){byte, 1};
    *msg = (struct msghdr){.msg_iov = iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = room};
}

/* By the keeper: the detached mounts, in the order of the views, then a message without any. */
void send_trees(int sync, const struct plan *plan)
{
    char space[CMSG_SPACE(AT_ONCE * sizeof(int))] __attribute__((aligned(8)));
    size_t n = 0;
    int fds[AT_ONCE];
    for (size_t i = 0; i <= plan->n_views; i++) {
        bool last = i == plan->n_views;
        if (!last && plan->views[i].fd >= 0)
            fds[n++] = plan->views[i].fd;
        if ((n == AT_ONCE || last) && n) {
            char byte = 't';
            struct iovec iov;
            struct msghdr msg;
            memset(space, 0, sizeof space);
            one_message(&msg, &iov, space, CMSG_SPACE(n * sizeof(int)), &byte);
            struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(n * sizeof(int));
            memcpy(CMSG_DATA(c), fds, n * sizeof(int));
            if (sendmsg(sync, &msg, MSG_NOSIGNAL) != 1)
                fail("keeper", errno, "trees");
            while (n)
                close(fds[--n]);
        }
    }
    if (send(sync, "g", 1, MSG_NOSIGNAL) != 1)
        fail("keeper", errno, "init");
}

static void receive_trees(int sync, const struct plan *plan, int *trees)
{
    char space[CMSG_SPACE(AT_ONCE * sizeof(int))] __attribute__((aligned(8)));
    size_t n = 0;
    for (;;) {
        char byte = 0;
        struct iovec iov;
        struct msghdr msg;
        one_message(&msg, &iov, space, sizeof space, &byte);
        if (recvmsg(sync, &msg, MSG_CMSG_CLOEXEC) != 1)
            _exit(1); /* the keeper ended */
        if (byte == 'g')
            break;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
            for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                if (n == MAX_VIEWS)
                    fail("mounts", E2BIG, "trees");
                memcpy(&trees[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            }
    }
    size_t wanted = 0;
    for (size_t i = 0; i < plan->n_views; i++)
        wanted += plan->views[i].kind == VIEW_BIND;
    if (plan->tier != TIER_LANDLOCK && n != wanted)
        fail("mounts", EIO, "trees");
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

_Noreturn static void guest_main(struct plan *plan)
{
    reset_signals();
    if (setsid() < 0)
        fail("session", errno, "setsid");
    if (chdir(plan->cwd) < 0)
        fail("cwd", errno, plan->cwd);
    umask(022);
    drop_privileges();
    /* the boot parameters take the first free number; everything else closes at exec */
    if (dup2(FD_GO, GUEST_FD_GO) < 0)
        fail("descriptors", errno, "go");
    if (syscall(SYS_close_range, GUEST_FD_GO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        fail("descriptors", errno, "close_range");
    const char *secret = secret_copy(plan->probe ? "/" : plan->start ? plan->start : plan->program);
    apply_landlock(plan);
    apply_limits(plan);
    int listener = apply_seccomp(plan, secret);
    if (listener >= 0)
        send_descriptor("listener", listener);
    if (plan->probe) {
        run_probes(plan, true, say);
        say("inside done 0");
        for (;;)
            pause(); /* the last attempt is to outlive the host's patience */
    }
    execve(secret, plan->argv, plan->envp);
    fail("exec", errno, plan->program);
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

static long long microseconds(struct timeval t) { return (long long)t.tv_sec * 1000000 + t.tv_usec; }

_Noreturn void init_main(struct plan *plan, int sync)
{
    sync_fd = sync;
    /* the keeper has one thread, so the parent-death signal is the keeper's end and no less */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        fail("init", errno, "pdeathsig");
    char go;
    if (read(sync, &go, 1) != 1)
        _exit(1); /* the keeper ended before the signal was armed */
    become_guest_user(plan);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) /* changing user cleared it */
        fail("init", errno, "pdeathsig");
    enter_new_root(plan);
    static int trees[MAX_VIEWS];
    receive_trees(sync, plan, trees);
    const char *name = plan->host_name ? plan->host_name : "belljar";
    if (plan->tier != TIER_LANDLOCK && sethostname(name, strlen(name)) < 0)
        fail("namespaces", errno, "sethostname");
    open_datagrams(plan, give_datagrams);
    build_view(plan, trees);
    if (plan->tier == TIER_LANDLOCK && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        fail("init", errno, "subreaper");
    int started[2];
    if (pipe2(started, O_CLOEXEC) < 0)
        fail("init", errno, "pipe");
    pid_t guest = fork();
    if (guest < 0)
        fail("init", errno, "fork");
    if (guest == 0) {
        if (plan->tier == TIER_LANDLOCK && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
            fail("init", errno, "pdeathsig");
        guest_main(plan);
    }
    prctl(PR_SET_NAME, "belljar-init");
    close(FD_GO);
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
        if (pid != guest && pid > 0)
            continue;
        char line[160];
        snprintf(line, sizeof line, "exit %d %lld %lld %ld", status, microseconds(used.ru_utime),
                 microseconds(used.ru_stime), used.ru_maxrss);
        say(line);
        _exit(0);
    }
}
