/* What the keeper may know of a guest that waits for an answer: its memory, its descriptors.
 *
 * Everything is copied once and decided on the copy (seccomp_unotify(2)). Both need the right to
 * trace the guest, which a parent of the same user has as long as the guest is dumpable; it cannot
 * change that, prctl(PR_SET_DUMPABLE) being refused. */
#include "network.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool read_by_file(pid_t thread, uint64_t at, void *to, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = pread(fd, to, size, (off_t)at);
    close(fd);
    return n == (ssize_t)size;
}

bool read_guest(pid_t thread, uint64_t at, void *to, size_t size)
{
    struct iovec here = {to, size}, there = {(void *)(uintptr_t)at, size};
    if (process_vm_readv(thread, &here, 1, &there, 1, 0) == (ssize_t)size)
        return true;
    /* EPERM: containers forbid the call, not the file that does the same */
    return (errno == EPERM || errno == ENOSYS) && read_by_file(thread, at, to, size);
}

static bool write_by_file(pid_t thread, uint64_t at, const void *from, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)thread);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = pwrite(fd, from, size, (off_t)at);
    close(fd);
    return n == (ssize_t)size;
}

/* Unlike the file, the call respects pages that are read-only: so it comes first. */
bool write_guest(pid_t thread, uint64_t at, const void *from, size_t size)
{
    struct iovec here = {(void *)(uintptr_t)from, size}, there = {(void *)(uintptr_t)at, size};
    if (process_vm_writev(thread, &here, 1, &there, 1, 0) == (ssize_t)size)
        return true;
    return (errno == EPERM || errno == ENOSYS) && write_by_file(thread, at, from, size);
}

/* Is it a datagram socket of the guest's own network namespace? What is done to it, whatever it is,
 * reaches the granted addresses only (datagram_net.c). */
bool own_datagrams(const struct plan *plan, const struct theirs *s)
{
    return plan->tier != TIER_LANDLOCK && s->fd >= 0 && s->type == SOCK_DGRAM && s->protocol == IPPROTO_UDP;
}

/* Does the guest have this socket open? Where that is asked, it is one process. */
bool has_socket(pid_t thread, uint64_t inode)
{
    char path[64], link[64], wanted[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)thread);
    snprintf(wanted, sizeof wanted, "socket:[%llu]", (unsigned long long)inode);
    DIR *fds = opendir(path);
    bool found = !fds; /* unknown: as if */
    for (struct dirent *e; fds && !found && (e = readdir(fds));) {
        ssize_t n = readlinkat(dirfd(fds), e->d_name, link, sizeof link - 1);
        link[n > 0 ? n : 0] = 0;
        found = !strcmp(link, wanted);
    }
    if (fds)
        closedir(fds);
    return found;
}

/* The same for an init that has another program's memory: a page that nobody has is not there, or
 * not ours to ask for. */
bool can_look(pid_t init)
{
    char byte;
    return read_guest(init, 0, &byte, 1) || errno == EFAULT || errno == EIO;
}

/* Init has the user and the memory layout that the guest will have (Yama, AppArmor, ptrace(2)). */
bool can_mediate(pid_t init)
{
    static const char mark[] = "belljar reads what it is asked";
    char seen[sizeof mark] = "";
    return read_guest(init, (uint64_t)(uintptr_t)mark, seen, sizeof seen) && !memcmp(seen, mark, sizeof mark);
}

/* The PID may have been reused between the notification and a look at /proc: look, then ask. */
bool still_asks(const struct call *c)
{
    return ioctl(c->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &c->ask->id) == 0;
}

/* The address that is the second argument of a call and its size, the third; 0 or an error. */
int read_address(const struct call *c, struct sockaddr_storage *to, size_t *size)
{
    size_t n = (uint32_t)c->ask->data.args[2];
    memset(to, 0, sizeof *to);
    if (n < sizeof(sa_family_t) || n > sizeof *to)
        return EINVAL;
    if (!read_guest((pid_t)c->ask->pid, c->ask->data.args[1], to, n))
        return EFAULT;
    *size = n;
    return 0;
}

/* The value behind `key:` in a file of /proc, or -1. */
static long field(const char *path, const char *key, int base)
{
    char line[256];
    FILE *file = fopen(path, "re");
    long value = -1;
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key))) {
            value = strtol(line + strlen(key), NULL, base);
            break;
        }
    if (file)
        fclose(file);
    return value;
}

int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) < 0 ? -1 : value;
}

/* The protocol's name, which the kernel gives as an attribute of a socket's file (sockfs). */
static bool by_name(const char *path, struct theirs *out)
{
    static const struct { const char *name; int domain, type, protocol; } KINDS[] = {
        {"TCP", AF_INET, SOCK_STREAM, IPPROTO_TCP}, {"TCPv6", AF_INET6, SOCK_STREAM, IPPROTO_TCP},
        {"UDP", AF_INET, SOCK_DGRAM, IPPROTO_UDP},  {"UDPv6", AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
        {"UNIX-STREAM", AF_UNIX, SOCK_STREAM, 0},   {"UNIX", AF_UNIX, SOCK_SEQPACKET, 0},
    };
    char name[32] = "";
    if (getxattr(path, "system.sockprotoname", name, sizeof name - 1) < 0)
        return false;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (!strcmp(name, KINDS[i].name)) {
            out->domain = KINDS[i].domain;
            out->type = KINDS[i].type;
            out->protocol = KINDS[i].protocol;
            return true;
        }
    return false;
}

/* False when it is no socket. The descriptor may be another one by the time of the answer: that
 * harms the guest alone, since the answer is a socket of ours put in its place. */
bool borrow(pid_t thread, int guest_fd, struct theirs *out)
{
    char path[80], link[64] = "";
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)thread, guest_fd);
    if (readlink(path, link, sizeof link - 1) < 0 || strncmp(link, "socket:[", 8))
        return false;
    *out = (struct theirs){.fd = -1, .inode = strtoull(link + 8, NULL, 10)};
    char status[64];
    snprintf(status, sizeof status, "/proc/%d/status", (int)thread);
    int process = (int)syscall(SYS_pidfd_open, (pid_t)field(status, "Tgid:", 10), 0);
    if (process >= 0) {
        out->fd = (int)syscall(SYS_pidfd_getfd, process, guest_fd, 0);
        close(process);
    }
    if (out->fd >= 0) {
        out->domain = option(out->fd, SOL_SOCKET, SO_DOMAIN);
        out->type = option(out->fd, SOL_SOCKET, SO_TYPE);
        out->protocol = option(out->fd, SOL_SOCKET, SO_PROTOCOL);
        out->patient = !(fcntl(out->fd, F_GETFL) & O_NONBLOCK);
        return true;
    }
    if (!by_name(path, out))
        return false;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)thread, guest_fd);
    out->patient = !(field(path, "flags:", 8) & O_NONBLOCK);
    return true;
}
