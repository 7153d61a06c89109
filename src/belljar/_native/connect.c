/* Granted connections. The filter stops the guest's connect(2) and asks here. The keeper copies
 * the address once, decides on its copy, makes and connects a socket of its own in the host's
 * network, and puts it in the place of the guest's descriptor: what was checked is what is used
 * (never "continue", which would read guest memory a second time; seccomp_unotify(2)).
 * Only TCP, only literal addresses in this version. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { MAX_PENDING = 64 };
static struct pending { uint64_t id; int fd, guest_fd; } waiting[MAX_PENDING];
static int n_waiting;

static void reply(int listener, uint64_t id, int error)
{
    struct seccomp_notif_resp answer = {.id = id, .error = -error};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* ENOENT: the guest is gone, nothing to tell */
}

static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8))
        return false;
    unsigned rest = bits % 8;
    return !rest || !((a[bits / 8] ^ b[bits / 8]) & (0xff << (8 - rest)));
}

static bool granted(const struct plan *plan, const struct sockaddr_storage *to)
{
    const unsigned char *ip;
    unsigned port;
    int family = to->ss_family;
    if (family == AF_INET) {
        const struct sockaddr_in *in = (const void *)to;
        ip = (const void *)&in->sin_addr;
        port = ntohs(in->sin_port);
    } else {
        const struct sockaddr_in6 *in = (const void *)to;
        ip = in->sin6_addr.s6_addr;
        port = ntohs(in->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) { /* the same host by another name */
            ip += 12;
            family = AF_INET;
        }
    }
    static const unsigned char none[16];
    bool here = !memcmp(ip, none, family == AF_INET ? 4 : 16); /* the kernel makes it loopback */
    for (size_t i = 0; i < plan->n_addresses; i++) {
        const struct address *a = &plan->addresses[i];
        if (here && a->prefix != (family == AF_INET ? 32 : 128))
            continue;
        if (a->family == family && (!a->port || a->port == port) && same_prefix(a->ip, ip, a->prefix))
            return true;
    }
    return false;
}

static pid_t process_of(pid_t thread)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
    FILE *status = fopen(path, "re");
    int pid = -1;
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "Tgid: %d", &pid) == 1)
            break;
    if (status)
        fclose(status);
    return pid;
}

static int borrow_socket(pid_t thread, int guest_fd)
{
    pid_t pid = process_of(thread);
    int process = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0)
        return -1;
    int fd = (int)syscall(SYS_pidfd_getfd, process, guest_fd, 0);
    close(process);
    return fd;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) < 0 ? -1 : value;
}

static void copy_option(int from, int to, int level, int name)
{
    int value = option(from, level, name);
    if (value > 0)
        setsockopt(to, level, name, &value, sizeof value); /* a preference: the connection works without */
}

/* Never connect(2) here on a socket that the guest holds as well: it can make it a blocking one
 * at any moment, and the keeper must not wait for anybody. */
static int tcp_state(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ? TCP_CLOSE : info.tcpi_state;
}

static bool is_ours(int fd)
{
    static uint64_t host;
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (!host) {
        int own = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t n = sizeof host;
        if (own < 0 || getsockopt(own, SOL_SOCKET, SO_NETNS_COOKIE, &host, &n) < 0)
            host = 0;
        if (own >= 0)
            close(own);
    }
    return host && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0 && cookie == host;
}

static int inject(int listener, uint64_t id, int fd, int guest_fd)
{
    struct seccomp_notif_addfd add = {.id = id, .flags = SECCOMP_ADDFD_FLAG_SETFD, .srcfd = (uint32_t)fd,
                                      .newfd = (uint32_t)guest_fd, .newfd_flags = O_CLOEXEC};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? errno : 0;
}

/* Returns the error to give the guest, or -1 when the answer comes later. */
static int make_connection(int listener, const struct seccomp_notif *ask, int theirs,
                           const struct sockaddr_storage *to, socklen_t size)
{
    int guest_fd = (int)ask->data.args[0];
    if (option(theirs, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
        option(theirs, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP ||
        option(theirs, SOL_SOCKET, SO_DOMAIN) != to->ss_family)
        return EACCES;
    if (is_ours(theirs)) { /* asks how an earlier connect went */
        int state = tcp_state(theirs);
        if (state == TCP_SYN_SENT || state == TCP_SYN_RECV)
            return EALREADY;
        if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT)
            return EISCONN;
        int failed = option(theirs, SOL_SOCKET, SO_ERROR); /* told once, then a new attempt */
        if (failed > 0)
            return failed;
    }
    bool patient = !(fcntl(theirs, F_GETFL) & O_NONBLOCK);
    if (patient && n_waiting == MAX_PENDING)
        return EAGAIN;
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return errno;
    copy_option(theirs, fd, IPPROTO_TCP, TCP_NODELAY);
    copy_option(theirs, fd, SOL_SOCKET, SO_KEEPALIVE);
    int error = connect(fd, (const void *)to, size) < 0 ? errno : 0;
    if (error == EINPROGRESS && patient) {
        waiting[n_waiting++] = (struct pending){ask->id, fd, guest_fd};
        return -1;
    }
    if (error == 0 || error == EINPROGRESS) {
        if (patient)
            fcntl(fd, F_SETFL, 0);
        int failed = inject(listener, ask->id, fd, guest_fd);
        error = failed ? failed : error;
    }
    close(fd);
    return error;
}

static int decide(const struct plan *plan, int listener, const struct seccomp_notif *ask)
{
    struct sockaddr_storage to = {0};
    size_t size = ask->data.args[2];
    if (size < sizeof(sa_family_t) || size > sizeof to)
        return EINVAL;
    struct iovec here = {&to, size}, there = {(void *)(uintptr_t)ask->data.args[1], size};
    if (process_vm_readv((pid_t)ask->pid, &here, 1, &there, 1, 0) != (ssize_t)size)
        return EFAULT;
    /* the PID may have been reused between the notification and the read */
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &ask->id) < 0)
        return ESRCH;
    size_t least = to.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if ((to.ss_family != AF_INET && to.ss_family != AF_INET6) || size < least)
        return EACCES; /* AF_UNSPEC would turn a connected socket of the host's into a free one */
    if (!granted(plan, &to))
        return EACCES;
    int theirs = borrow_socket((pid_t)ask->pid, (int)ask->data.args[0]);
    if (theirs < 0)
        return EBADF;
    int error = make_connection(listener, ask, theirs, &to, (socklen_t)least);
    close(theirs);
    return error;
}

void mediate(const struct plan *plan, int listener)
{
    struct seccomp_notif ask = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0)
        return; /* the asking thread was killed meanwhile */
    int error = decide(plan, listener, &ask);
    if (error >= 0)
        reply(listener, ask.id, error);
}

int pending_descriptors(struct pollfd *out, int room)
{
    int n = 0;
    for (; n < n_waiting && n < room; n++)
        out[n] = (struct pollfd){waiting[n].fd, POLLOUT, 0};
    return n;
}

void finish_pending(int listener)
{
    for (int i = 0; i < n_waiting;) {
        struct pollfd one = {waiting[i].fd, POLLOUT, 0};
        if (poll(&one, 1, 0) <= 0) {
            i++;
            continue;
        }
        int error = option(waiting[i].fd, SOL_SOCKET, SO_ERROR);
        if (error == 0) {
            fcntl(waiting[i].fd, F_SETFL, 0);
            error = inject(listener, waiting[i].id, waiting[i].fd, waiting[i].guest_fd);
        }
        reply(listener, waiting[i].id, error < 0 ? ECONNABORTED : error);
        close(waiting[i].fd);
        waiting[i] = waiting[--n_waiting];
    }
}
