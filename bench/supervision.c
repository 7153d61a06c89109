/* What being watched by another process costs a loop of open and close: plain, seccomp user
 * notification (with and without a wake-up on the same CPU), and ptrace stops at filtered calls. The
 * supervisor reads the path, as a useful one has to. Prints "NAME microseconds". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 20000 };

static void loop(const char *what)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < ROUNDS; i++)
        close(open("/etc/hostname", O_RDONLY));
    clock_gettime(CLOCK_MONOTONIC, &b);
    double ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
    printf("%s %.3f\n", what, ns / ROUNDS / 1000);
    fflush(stdout);
    _exit(0);
}

static int install(uint32_t action, unsigned flags)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void peek(pid_t pid, uint64_t at)
{
    char text[256];
    struct iovec here = {text, sizeof text}, there = {(void *)(uintptr_t)at, sizeof text};
    process_vm_readv(pid, &here, 1, &there, 1, 0);
}

static void notified(const char *what, int together)
{
    int way[2], fd = -1;
    if (pipe(way) < 0)
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        fd = install(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
        if (fd < 0 || write(way[1], &fd, sizeof fd) != sizeof fd)
            _exit(1);
        usleep(50000);
        close(fd);
        loop(what);
    }
    if (read(way[0], &fd, sizeof fd) != sizeof fd)
        exit(1);
    int listener = (int)syscall(SYS_pidfd_getfd, (int)syscall(SYS_pidfd_open, child, 0), fd, 0);
    if (together)
        ioctl(listener, _IOW('!', 4, uint64_t), 1);
    for (;;) {
        struct seccomp_notif ask;
        memset(&ask, 0, sizeof ask);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0)
            break;
        peek((pid_t)ask.pid, ask.data.args[1]);
        struct seccomp_notif_resp go = {.id = ask.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &go);
    }
    waitpid(child, NULL, 0);
    close(listener);
}

static void traced(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        raise(SIGSTOP);
        install(SECCOMP_RET_TRACE, 0);
        loop("ptrace");
    }
    waitpid(child, &status, WUNTRACED);
    ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL);
    kill(child, SIGCONT);
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
            char info[128];
            ptrace(0x420e /* PTRACE_GET_SYSCALL_INFO */, child, sizeof info, info);
            uint64_t path;
            memcpy(&path, info + 24 + 8 + 8, sizeof path); /* second argument */
            peek(child, path);
        }
        ptrace(PTRACE_CONT, child, 0, 0);
    }
}

int main(void)
{
    if (fork() == 0)
        loop("plain");
    wait(NULL);
    notified("notification", 0);
    notified("notification-sync", 1);
    traced();
    return 0;
}
