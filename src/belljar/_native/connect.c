/* connect(2): TCP to granted addresses, and where a datagram socket sends to. */
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8))
        return false;
    unsigned rest = bits % 8;
    return !rest || !((a[bits / 8] ^ b[bits / 8]) & (0xff << (8 - rest)));
}

bool in_grants(const struct address *list, size_t n, int protocol, const struct sockaddr_storage *to)
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
    unsigned whole = family == AF_INET ? 32 : 128;
    bool here = !memcmp(ip, none, whole / 8); /* the kernel makes it loopback: granted by itself or not */
    for (size_t i = 0; i < n; i++) {
        const struct address *a = &list[i];
        if (a->protocol == protocol && a->family == family && (a->any_port || a->port == port) &&
            same_prefix(a->ip, ip, a->prefix) && (!here || a->prefix == whole))
            return true;
    }
    return false;
}

static void copy_option(int from, int to, int level, int name)
{
    int value = from < 0 ? -1 : option(from, level, name);
    if (value > 0)
        setsockopt(to, level, name, &value, sizeof value); /* a preference: the connection works without */
}

/* How an earlier connect went: 0 when there was none. Never connect(2) here on a socket that the
 * guest holds as well: it can make it a blocking one at any moment, and the keeper waits for nobody. */
static int earlier(const struct theirs *s)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int state = s->fd < 0 || getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ? TCP_CLOSE : info.tcpi_state;
    if (state == TCP_SYN_SENT || state == TCP_SYN_RECV)
        return EALREADY;
    if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT)
        return EISCONN;
    int failed = s->fd < 0 ? 0 : option(s->fd, SOL_SOCKET, SO_ERROR); /* told once, then a new attempt */
    return failed > 0 ? failed : 0;
}

static int tcp(const struct plan *plan, const struct call *c, const struct theirs *s, const struct sockaddr_storage *to, socklen_t size)
{
    int guest_fd = (int)c->ask->data.args[0], before = earlier(s);
    if (before)
        return before;
    if (!room_for_one(plan))
        return ENOBUFS;
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return errno;
    copy_option(s->fd, fd, IPPROTO_TCP, TCP_NODELAY);
    copy_option(s->fd, fd, SOL_SOCKET, SO_KEEPALIVE);
    int error = connect(fd, (const void *)to, size) < 0 ? errno : 0;
    if (error == EINPROGRESS && s->patient) {
        error = answer_when_connected(c, fd, guest_fd);
        if (error == LATER)
            return LATER;
    } else if (error == 0 || error == EINPROGRESS) {
        if (s->patient)
            fcntl(fd, F_SETFL, 0);
        int failed = inject(c, fd, guest_fd);
        if (!failed)
            count_one(fd);
        error = failed ? failed : error;
    }
    close(fd);
    return error;
}

/* A datagram socket is the guest's own, in its own network namespace: whatever it is by the time of
 * the call, it reaches the granted addresses only (datagram_net.c). */
static int udp(const struct theirs *s, const struct sockaddr_storage *to, socklen_t size)
{
    if (s->fd < 0)
        return EACCES;
    return connect(s->fd, (const void *)to, size) < 0 ? errno : 0;
}

static int decide(const struct plan *plan, const struct call *c, const struct theirs *s,
                  const struct sockaddr_storage *to, size_t size)
{
    bool datagrams = own_datagrams(plan, s);
    if (datagrams && to->ss_family == AF_UNSPEC) /* not so for a stream: it would free a socket of the host's */
        return udp(s, to, (socklen_t)size);
    if (to->ss_family == AF_UNIX)
        return connect_local(plan, c, s, to, size);
    size_t least = to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if ((to->ss_family != AF_INET && to->ss_family != AF_INET6) || size < least || s->domain != to->ss_family)
        return EACCES;
    bool answers = datagrams && plan->n_serves && welcome(plan, -1, to); /* a server that settles on a peer */
    if (!answers && !in_grants(plan->addresses, plan->n_addresses, datagrams ? IPPROTO_UDP : IPPROTO_TCP, to))
        return EACCES;
    if (datagrams)
        return udp(s, to, (socklen_t)least);
    if (s->type == SOCK_STREAM && s->protocol == IPPROTO_TCP)
        return tcp(plan, c, s, to, (socklen_t)least);
    return EACCES;
}

/* Returns the error to give the guest, or LATER. */
int connect_call(const struct plan *plan, const struct call *c)
{
    struct sockaddr_storage to;
    size_t size;
    struct theirs s;
    int error = read_address(c, &to, &size);
    if (error)
        return error;
    if (is_narrowing(&to, size))
        return narrow_network((struct plan *)plan, &to);
    if (!connects(plan))
        return EACCES;
    if (!borrow((pid_t)c->ask->pid, (int)c->ask->data.args[0], &s))
        return EBADF;
    error = still_asks(c) ? decide(plan, c, &s, &to, size) : ESRCH;
    if (s.fd >= 0)
        close(s.fd);
    return error;
}
