/* belljar-tracer CHANNEL -- PROGRAM ARGS...: runs the program, is told by the kernel of the calls
 * that matter in its whole tree (seccomp user notification), writes a frame for each into the FIFO
 * (CHANNEL `-`: the recorder's) and lets every one go on: it observes, it refuses nothing. It is the
 * program's parent, because a kernel with Yama lets only ancestors read a process; it ends as the
 * program ends. */
#define _GNU_SOURCE
#include "tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS _IOW('!', 4, uint64_t)
#endif
enum { SYNC_WAKE_UP = 1 };

extern char **environ;
static int channel, listener;
static pid_t program;
static volatile sig_atomic_t told, forward[2];

static _Noreturn void refuse(const char *what, int error)
{
    const char *why = error == EBUSY ? "another supervisor already listens in this process tree" : strerror(error);
    fprintf(stderr, "belljar: cannot cross-check: %s: %s\n", what, why);
    exit(125);
}

static void arm(long us)
{
    struct itimerval again = {{0, us}, {0, us}};
    setitimer(ITIMER_REAL, &again, NULL);
}

/* A signal that comes right before the wait for the kernel would be slept over: the alarm comes
 * again and again until it was seen. */
static void on_signal(int number)
{
    told = 1;
    if (number == SIGTERM)
        forward[0] = 1;
    else if (number == SIGHUP)
        forward[1] = 1;
    if (number != SIGALRM)
        arm(10000);
}

static void catch_signals(const sigset_t *before)
{
    static const int numbers[] = {SIGCHLD, SIGALRM, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal}, old;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && (i < 2 || old.sa_handler != SIG_IGN))
            sigaction(numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    sigset_t mask = *before; /* whatever the program may have blocked, we need these */
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigdelset(&mask, numbers[i]);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

static _Noreturn void become(char **argv, int result, int go, pid_t parent, const sigset_t *mask)
{
    /* Without its supervisor the program's calls fail with ENOSYS: it ends rather than stumble on. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(125);
    int fd = tracer_listen();
    int answer = fd < 0 ? -errno : fd;
    char byte;
    if (write(result, &answer, sizeof answer) != (ssize_t)sizeof answer || read(go, &byte, 1) != 1)
        _exit(125);
    close(fd);
    sigprocmask(SIG_SETMASK, mask, NULL);
    unsetenv("BELLJAR_PAGE"); /* every event a write: it is in the FIFO before the call that it explains */
    syscall(SYS_execve, argv[0], argv, environ);
    int error = errno;
    fprintf(stderr, "belljar: cannot run %s: %s\n", argv[0], error == ENOENT ? "there is no such program" : strerror(error));
    _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

static int start(char **argv)
{
    int result[2], go[2], answer = -EPIPE;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* until there is someone to pass them on to */
    pid_t us = getpid();
    if (pipe2(result, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0 || (program = fork()) < 0)
        refuse("starting", errno);
    if (program == 0) {
        close(go[1]);
        become(argv, result[1], go[0], us, &before);
    }
    close(result[1]);
    close(go[0]);
    if (read(result[0], &answer, sizeof answer) != (ssize_t)sizeof answer || answer < 0)
        refuse("the filter", answer < 0 ? -answer : EPIPE);
    int process = (int)syscall(SYS_pidfd_open, program, 0);
    int fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, answer, 0);
    if (fd < 0)
        refuse("the listener", errno);
    close(process);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP); /* Linux 6.6: saves a fifth */
    catch_signals(&before);
    if (write(go[1], "", 1) != 1)
        refuse("starting", errno);
    close(result[0]);
    close(go[1]);
    return fd;
}

/* The terminal's signals are the program's business, and its streams must end when it does. */
static void step_aside(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    setpgid(0, 0);
    if (chdir("/") < 0)
        return;
}

static void tell(const unsigned char *frame, size_t size)
{
    while (size > 0 && write(channel, frame, size) < 0 && errno == EINTR)
        continue; /* EPIPE: nobody listens any more, and the program goes on all the same */
}

/* False when there is nobody left who could ask. */
static int serve(void)
{
    static unsigned char frame[BJ_FRAME];
    struct seccomp_notif ask;
    memset(&ask, 0, sizeof ask);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0)
        return errno == EINTR || errno == ENOENT;
    tell(frame, tracer_describe(&ask, frame));
    struct seccomp_notif_resp answer = {.id = ask.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* ENOENT: it was killed, or a signal took it away */
    return 1;
}

static int deserted(int patience)
{
    struct pollfd one = {listener, POLLIN, 0};
    return poll(&one, 1, patience) > 0 && !(one.revents & POLLIN) && one.revents & (POLLHUP | POLLERR);
}

/* End as the program ended. */
static _Noreturn void mirror(int status)
{
    if (WIFSIGNALED(status)) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(WTERMSIG(status), SIG_DFL);
        sigset_t mask;
        sigemptyset(&mask);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        kill(getpid(), WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* The program is gone; what it left running still asks, and must not wait for ever. */
static _Noreturn void end(int status)
{
    unsigned char frame[BJ_FRAME];
    int left = !deserted(0);
    tell(frame, tracer_remark("end", (uint64_t)left, "", frame));
    if (left && fork() == 0) {
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        while (!deserted(1000)) {
            struct pollfd one = {listener, POLLIN, 0};
            if (poll(&one, 1, 1000) > 0 && one.revents & POLLIN)
                serve();
        }
        _exit(0);
    }
    mirror(status);
}

static void attend(void)
{
    int status;
    told = 0;
    arm(0);
    for (int i = 0; i < 2; i++)
        if (forward[i]) {
            forward[i] = 0;
            kill(program, i == 0 ? SIGTERM : SIGHUP);
        }
    if (waitpid(program, &status, WNOHANG) == program)
        end(status);
}

int main(int argc, char **argv)
{
    if (argc < 4 || strcmp(argv[2], "--") != 0) {
        fputs("usage: belljar-tracer CHANNEL -- PROGRAM [ARGS...]\n", stderr);
        return 2;
    }
    const char *name = strcmp(argv[1], "-") == 0 ? getenv("BELLJAR_CHANNEL") : argv[1];
    if (name == NULL)
        refuse("the channel", ENOENT);
    channel = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (channel < 0 || fcntl(channel, F_SETFL, O_WRONLY) < 0)
        refuse("the channel", errno);
    listener = start(argv + 3);
    step_aside();
    unsigned char frame[BJ_FRAME];
    tell(frame, tracer_remark("begin", (uint64_t)program, name, frame));
    for (;;) {
        if (told)
            attend();
        if (!serve()) {
            int status;
            if (waitpid(program, &status, 0) == program)
                end(status);
        }
    }
}
