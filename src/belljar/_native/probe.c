/* The live probe: try each forbidden thing, in a sandbox built by the very same code as a
 * guest's, and say what came of it. The same attempts are made outside first: an attempt
 * that fails there too proves nothing, and the host treats it so. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[4200];

static const char *in_canary(const struct plan *plan, const char *name)
{
    snprintf(path, sizeof path, "%s/%s", plan->canary, name);
    return path;
}

static int result(long value) { return value < 0 ? errno : 0; }

static int closing(int fd)
{
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int try_read(const struct plan *p) { return closing(open(in_canary(p, "secret"), O_RDONLY)); }
static int try_write(const struct plan *p) { return closing(open(in_canary(p, "victim"), O_WRONLY)); }

static int try_create(const struct plan *p)
{
    int error = closing(open(in_canary(p, "created"), O_WRONLY | O_CREAT, 0600));
    if (!error)
        unlink(path);
    return error;
}

static int try_delete(const struct plan *p)
{
    int error = result(unlink(in_canary(p, "doomed")));
    if (!error)
        error = closing(open(path, O_WRONLY | O_CREAT, 0600)); /* the next attempt needs it */
    return error;
}

static int try_list(const struct plan *p) { return closing(open(p->canary, O_RDONLY | O_DIRECTORY)); }

static int try_name(const struct plan *p)
{
    struct stat st;
    return result(stat(in_canary(p, "secret"), &st));
}

static int try_chmod(const struct plan *p) { return result(chmod(in_canary(p, "victim"), 0777)); }

static int try_internet(const struct plan *p, int type)
{
    int fd = socket(AF_INET, type, 0);
    if (fd < 0)
        return errno;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->canary_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int error = type == SOCK_STREAM ? result(connect(fd, (void *)&to, sizeof to))
                                    : result(sendto(fd, "x", 1, 0, (void *)&to, sizeof to));
    close(fd);
    return error;
}

static int try_tcp(const struct plan *p) { return try_internet(p, SOCK_STREAM); }
static int try_udp(const struct plan *p) { return try_internet(p, SOCK_DGRAM); }

static int try_unix(const struct plan *p)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return errno;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *name = in_canary(p, "socket");
    if (strlen(name) >= sizeof to.sun_path) {
        close(fd);
        return ENAMETOOLONG;
    }
    strcpy(to.sun_path, name);
    int error = result(connect(fd, (void *)&to, sizeof to));
    close(fd);
    return error;
}

static int try_netlink(const struct plan *p) { (void)p; return closing(socket(AF_NETLINK, SOCK_RAW, 0)); }

static int try_fork(const struct plan *p)
{
    (void)p;
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid < 0)
        return errno;
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return 0;
}

static int try_exec(const struct plan *p)
{
    (void)p;
    char *argv[] = {"true", NULL}, *envp[] = {NULL};
    /* a file that is no program: ENOEXEC or ENOENT would mean that the wall let it through */
    execve("/dev/null/none", argv, envp);
    return errno == ENOTDIR || errno == ENOENT ? 0 : errno;
}

static int try_signal(const struct plan *p)
{
    return result(kill(p->outside, 0));
}

static int try_ptrace(const struct plan *p) { (void)p; return result(syscall(SYS_ptrace, 0, 0, 0, 0)); }
static int try_namespace(const struct plan *p) { (void)p; return result(unshare(CLONE_NEWUSER)); }
static int try_memfd(const struct plan *p) { (void)p; return closing((int)syscall(SYS_memfd_create, "x", 0)); }

static int try_memory(const struct plan *p)
{
    (void)p;
    struct rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        limit.rlim_cur = 1 << 20;
    void *m = mmap(NULL, limit.rlim_cur, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED)
        return errno;
    munmap(m, limit.rlim_cur);
    return 0;
}

static int try_native(const struct plan *p)
{
    (void)p;
    char name[] = "/tmp/belljar-probe-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0)
        return errno;
    unlink(name);
    void *m = ftruncate(fd, 4096) < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    int error = m == MAP_FAILED ? errno : 0;
    if (!error)
        munmap(m, 4096);
    close(fd);
    return error;
}

static int try_descriptors(const struct plan *p)
{
    (void)p;
    enum { MORE = 100 }; /* than the probe's sandbox may have, fewer than most users may */
    int fds[MORE], n = 0, error = 0;
    while (n < MORE) {
        int fd = dup(GUEST_FD_GO);
        if (fd < 0) {
            error = errno;
            break;
        }
        fds[n++] = fd;
    }
    while (n)
        close(fds[--n]);
    return error;
}

static atomic_int attempt_over;

static void *idle(void *unused)
{
    while (!attempt_over) /* no pthread_cancel: it loads a library, which the guest has not */
        usleep(1000);
    return unused;
}

static int try_threads(const struct plan *p)
{
    (void)p;
    enum { MORE = 40 }; /* than the probe's sandbox may have; small stacks, not to meet RLIMIT_DATA */
    pthread_t threads[MORE];
    pthread_attr_t small;
    int n = 0, error = pthread_attr_init(&small);
    if (!error)
        error = pthread_attr_setstacksize(&small, 256 << 10); /* the least that arm64 takes is 128 KiB */
    while (!error && n < MORE) {
        error = pthread_create(&threads[n], &small, idle, NULL);
        n += !error;
    }
    attempt_over = 1;
    while (n)
        pthread_join(threads[--n], NULL);
    return error;
}

/* Waiting for the limit itself would take a second of the processor: what is tried is to have it
 * raised. */
static int try_cpu(const struct plan *p)
{
    (void)p;
    struct rlimit limit;
    if (getrlimit(RLIMIT_CPU, &limit) < 0)
        return errno;
    if (limit.rlim_max != RLIM_INFINITY)
        limit.rlim_max++;
    limit.rlim_cur = limit.rlim_max;
    return result(setrlimit(RLIMIT_CPU, &limit));
}

/* Writes `files` new files of `size` bytes each where this process may write; they are gone when
 * they are closed. */
static int fill(const struct plan *p, int files, size_t size)
{
    static const char block[1 << 16];
    int fds[4], made = 0, error = 0;
    signal(SIGXFSZ, SIG_IGN);
    while (made < files && !error) {
        int fd = open(in_canary(p, "scratch/fill"), O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0) { /* with namespaces there is no such directory, but a private one */
            strcpy(path, "/tmp/belljar-probe-XXXXXX");
            fd = mkstemp(path);
        }
        if (fd < 0) {
            error = errno;
            break;
        }
        unlink(path);
        fds[made++] = fd;
        for (size_t at = 0; at < size && !error; at += sizeof block) {
            ssize_t n = write(fd, block, sizeof block);
            error = n < 0 ? errno : n < (ssize_t)sizeof block ? ENOSPC : 0;
        }
    }
    while (made > 0)
        close(fds[--made]);
    return error;
}

static int try_filesize(const struct plan *p) { return fill(p, 1, 3 << 20); }
static int try_disk(const struct plan *p) { return fill(p, 4, 3 << 19); }

static int try_privileges(const struct plan *p)
{
    (void)p; /* 0 would mean: new privileges can be had */
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? EPERM : 0;
}

static const struct { const char *name; int (*attempt)(const struct plan *); } PROBES[] = {
    {"read", try_read},       {"write", try_write},     {"create", try_create},   {"delete", try_delete},
    {"list", try_list},       {"name", try_name},       {"chmod", try_chmod},     {"tcp", try_tcp},
    {"udp", try_udp},         {"unix", try_unix},       {"netlink", try_netlink}, {"fork", try_fork},
    {"exec", try_exec},       {"signal", try_signal},   {"memfd", try_memfd},     {"memory", try_memory},
    {"native", try_native},   {"descriptors", try_descriptors}, {"privileges", try_privileges},
    {"ptrace", try_ptrace},   {"namespace", try_namespace}, {"threads", try_threads},
    {"cpu", try_cpu},         {"filesize", try_filesize}, {"disk", try_disk},
};

void run_probes(const struct plan *plan, bool confined, void (*tell)(const char *line))
{
    char line[96];
    for (size_t i = 0; i < sizeof PROBES / sizeof *PROBES; i++) {
        int error = -1;
        if (confined) {
            error = PROBES[i].attempt(plan);
        } else { /* outside, each in a throwaway child: some of them cannot be undone */
            pid_t child = fork();
            if (child == 0)
                _exit(PROBES[i].attempt(plan) & 0xff);
            int status = 0;
            if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status))
                error = WEXITSTATUS(status);
        }
        snprintf(line, sizeof line, "%s %s %d", confined ? "inside" : "outside", PROBES[i].name, error);
        tell(line);
    }
}
