/* Granted listening. bind(2) puts a socket of the keeper's, bound in the host's network, in the
 * place of the guest's; listen(2) and accept(2) are done here on a copy of it, so the peer is known
 * and counted before the guest has the connection. */
#include "network.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_BOUND = 64 };
/* `fd` is kept only where the guest's own cannot be borrowed: its
 * port is free again when the guest, having closed it, binds the next. */
static struct bound { uint64_t inode; int fd; struct sockaddr_storage at; } bound[MAX_BOUND];
static unsigned n_bound;

static void remember(int fd, uint64_t inode, bool keep)
{
    struct bound *b = &bound[n_bound++ % MAX_BOUND];
    if (n_bound > MAX_BOUND && b->fd >= 0)
        close(b->fd);
    *b = (struct bound){.inode = inode, .fd = keep ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1};
    socklen_t size = sizeof b->at;
    if (getsockname(fd, (void *)&b->at, &size) < 0)
        b->inode = 0;
}

void release_closed(pid_t thread)
{
    for (unsigned i = 0; i < MAX_BOUND && i < n_bound; i++)
        if (bound[i].fd >= 0 && !has_socket(thread, bound[i].inode)) {
            close(bound[i].fd);
            bound[i].fd = -1;
            bound[i].inode = 0;
        }
}

/* The bound socket that the guest means: a copy that the caller closes, or -1. */
static int bound_socket(const struct theirs *s)
{
    for (unsigned i = 0; i < MAX_BOUND && i < n_bound; i++)
        if (s->inode && bound[i].inode == s->inode) {
            struct sockaddr_storage now = {0};
            socklen_t size = sizeof now;
            int fd = fcntl(s->fd >= 0 ? s->fd : bound[i].fd, F_DUPFD_CLOEXEC, 3);
            if (fd >= 0 && getsockname(fd, (void *)&now, &size) == 0 && !memcmp(&now, &bound[i].at, sizeof now))
                return fd;
            if (fd >= 0)
                close(fd);
        }
    return -1;
}

/* A bound socket of ours in the place of the guest's; 0 or an error. */
int give_bound(const struct call *c, const struct theirs *s, int fd)
{
    struct stat st;
    if ((!s->patient && fcntl(fd, F_SETFL, O_NONBLOCK) < 0) || fstat(fd, &st) < 0)
        return errno;
    remember(fd, st.st_ino, s->fd < 0);
    return inject(c, fd, (int)c->ask->data.args[0]);
}

static int bind_tcp(const struct call *c, const struct theirs *s, const struct sockaddr_storage *to, socklen_t size)
{
    int on = 1, fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return errno;
    release_closed((pid_t)c->ask->pid);
    if (s->fd < 0 || option(s->fd, SOL_SOCKET, SO_REUSEADDR) > 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (to->ss_family == AF_INET6 && s->fd >= 0 && option(s->fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    int error = bind(fd, (const void *)to, size) < 0 ? errno : give_bound(c, s, fd);
    close(fd);
    return error;
}

static int decide(struct plan *plan, const struct call *c, const struct theirs *s,
                  const struct sockaddr_storage *to, size_t size)
{
    if (to->ss_family == AF_UNIX)
        return bind_local(plan, c, s, to, size);
    size_t least = to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if ((to->ss_family != AF_INET && to->ss_family != AF_INET6) || size < least || s->domain != to->ss_family)
        return EACCES;
    if (own_datagrams(plan, s)) {
        if (plan->n_serves && in_grants(plan->binds, plan->n_binds, IPPROTO_UDP, to))
            return serve(s, to, (socklen_t)least);
        return !plan->n_datagrams ? EACCES : bind(s->fd, (const void *)to, (socklen_t)least) < 0 ? errno : 0;
    }
    if (s->type != SOCK_STREAM || s->protocol != IPPROTO_TCP)
        return EACCES;
    if (!in_grants(plan->binds, plan->n_binds, IPPROTO_TCP, to))
        return EACCES;
    return bind_tcp(c, s, to, (socklen_t)least);
}

int bind_call(struct plan *plan, const struct call *c)
{
    struct sockaddr_storage to;
    size_t size;
    struct theirs s;
    int error = read_address(c, &to, &size);
    if (error)
        return error;
    if (!borrow((pid_t)c->ask->pid, (int)c->ask->data.args[0], &s))
        return EBADF;
    error = still_asks(c) ? decide(plan, c, &s, &to, size) : ESRCH;
    if (s.fd >= 0)
        close(s.fd);
    return error;
}

/* A copy of the listener that the call is about, or minus an error. */
static int meant(const struct call *c, bool *patient)
{
    struct theirs s;
    if (!borrow((pid_t)c->ask->pid, (int)c->ask->data.args[0], &s))
        return -EBADF;
    int fd = still_asks(c) ? bound_socket(&s) : -1;
    *patient = s.patient;
    if (s.fd >= 0)
        close(s.fd);
    return fd < 0 ? -EACCES : fd;
}

int listen_call(const struct plan *plan, const struct call *c)
{
    (void)plan;
    bool patient;
    int fd = meant(c, &patient);
    if (fd < 0)
        return -fd;
    int error = listen(fd, (int)c->ask->data.args[1]) < 0 ? errno : 0;
    close(fd);
    return error;
}

/* May this one come in? A Unix socket's peer is known by its user, which must be ours; `fd` is its
 * connection, which for the others need not be there. */
bool welcome(const struct plan *plan, int fd, const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_UNIX) {
        struct ucred who = {.uid = (uid_t)-1};
        socklen_t size = sizeof who;
        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == geteuid();
    }
    if (peer->ss_family != AF_INET && peer->ss_family != AF_INET6)
        return false;
    static const struct address near[] = {
        {.protocol = IPPROTO_TCP, .family = AF_INET, .ip = {127}, .prefix = 8, .any_port = true},
        {.protocol = IPPROTO_TCP, .family = AF_INET6, .ip = {[15] = 1}, .prefix = 128, .any_port = true}};
    if (!plan->n_peers) /* nobody was named: this machine only */
        return in_grants(near, 2, IPPROTO_TCP, peer);
    return in_grants(plan->peers, plan->n_peers, IPPROTO_TCP, peer);
}

static int give(const struct acceptance *a, int listener, uint64_t id, int fd, const struct sockaddr_storage *peer,
                socklen_t size)
{
    uint32_t room = 0, real = size;
    if (a->address) {
        if (!read_guest(a->thread, a->size, &room, sizeof room))
            return EFAULT;
        if (room > 1u << 30)
            return EINVAL;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) < 0)
            return ESRCH; /* nothing is written into a process that took the number over */
        if (!write_guest(a->thread, a->address, peer, room < real ? room : real) ||
            !write_guest(a->thread, a->size, &real, sizeof real))
            return EFAULT;
    }
    struct seccomp_notif_addfd add = {.id = id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (uint32_t)fd,
                                      .newfd_flags = a->flags & SOCK_CLOEXEC ? O_CLOEXEC : 0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0)
        return errno;
    return 0;
}

/* Accepts until there is one that may come in. 0 when it is given and answered, LATER when there is
 * none yet, else an error. Only the keeper accepts, so what poll() saw is there: it never blocks,
 * though the guest may make the listener a blocking one at any moment. */
int accept_one(const struct plan *plan, int listener, uint64_t id, const struct acceptance *a)
{
    for (int tries = 0; tries < 64; tries++) {
        struct pollfd one = {a->listener_fd, POLLIN, 0};
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof peer;
        if (poll(&one, 1, 0) <= 0)
            return LATER;
        if (!room_for_one(plan))
            return ENOBUFS; /* asyncio waits a second and tries again */
        int fd = accept4(a->listener_fd, (void *)&peer, &size, SOCK_CLOEXEC | (a->flags & SOCK_NONBLOCK));
        if (fd < 0)
            return errno == EAGAIN ? LATER : errno;
        if (!welcome(plan, fd, &peer)) {
            struct linger hard = {1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            close(fd);
            continue;
        }
        int error = give(a, listener, id, fd, &peer, size);
        if (!error)
            count_one(fd);
        close(fd);
        return error;
    }
    return LATER;
}

static int accept_flags(const struct call *c)
{
    return c->ask->data.nr == __NR_accept4 ? (int)c->ask->data.args[3] : 0;
}

int accept_call(const struct plan *plan, const struct call *c)
{
    bool patient;
    struct acceptance a = {.thread = (pid_t)c->ask->pid, .address = c->ask->data.args[1], .size = c->ask->data.args[2],
                           .flags = accept_flags(c)};
    if (a.flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return EINVAL;
    a.listener_fd = meant(c, &patient);
    if (a.listener_fd < 0)
        return a.listener_fd == -EACCES ? EINVAL : EBADF; /* as for a socket that does not listen */
    int error = option(a.listener_fd, SOL_SOCKET, SO_ACCEPTCONN) == 1 ? accept_one(plan, c->listener, c->ask->id, &a) : EINVAL;
    if (error == LATER && patient)
        error = answer_when_accepted(c, &a);
    else if (error == LATER)
        error = EAGAIN;
    else if (!error)
        error = DONE;
    if (error != LATER)
        close(a.listener_fd);
    return error;
}
