/* Granted UDP servers. The guest's socket stays its own, bound in its own network namespace
 * (datagram_net.c); the host's address has a socket of the keeper's. What a welcome peer sends there
 * is given to the guest from a socket in the guest's network that has the peer's own address and
 * port, and what the guest sends to that one goes back to the peer. So recvfrom, sendto, sendmsg and
 * connect are the kernel's own, and a guest can answer, but not write to anybody first. */
#include "network.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_SERVED = 16, MAX_PEERS = 128, AT_ONCE = 64, LARGEST = 65536, STACK = 64 << 10 };
union place { struct sockaddr any; struct sockaddr_storage room; struct sockaddr_in in; struct sockaddr_in6 in6; };

/* `fd`: the host's; `at`: where the guest's socket is bound. */
static struct served { int fd; union place at; } served[MAX_SERVED];
/* `fd` is in the guest's network and bound to `inside`, which is `peer` with mapped addresses as what
 * they mean; `spoke_to`: the servers that have heard from it, and may answer; `asked`: the host's
 * address to which it spoke last (IPv4: in front), zeros where the server has one address alone. */
static struct peer { int fd; uint64_t used; uint32_t spoke_to; union place peer, inside;
                     struct in6_addr asked[MAX_SERVED]; } peers[MAX_PEERS];
static int n_served, network = -1, living = -1;
static unsigned n_peers;
static uint64_t uses;
static char data[LARGEST];

void serve_in(int init) { network = init; }

/* Sockets belong to the network they are made in: a child that shares our descriptors goes there
 * (setns(2)), since an ordinary user's keeper could not come back. */
struct errand { int family, fd; };

static int run_errand(void *of)
{
    struct errand *e = of;
    if (setns(network, CLONE_NEWNET) == 0)
        e->fd = socket(e->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    _exit(0);
}

static int socket_inside(int family)
{
    static char stack[STACK] __attribute__((aligned(16)));
    struct errand e = {family, -1};
    pid_t child = clone(run_errand, stack + STACK, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &e);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    return e.fd;
}

static socklen_t size_of(const union place *p)
{
    return p->any.sa_family == AF_INET ? sizeof p->in : sizeof p->in6;
}

static in_port_t port_of(const union place *p) /* as on the wire */
{
    return p->any.sa_family == AF_INET ? p->in.sin_port : p->in6.sin6_port;
}

static union place plain(const union place *p)
{
    if (p->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&p->in6.sin6_addr))
        return *p;
    union place four = {.in = {.sin_family = AF_INET, .sin_port = p->in6.sin6_port}};
    memcpy(&four.in.sin_addr, p->in6.sin6_addr.s6_addr + 12, 4);
    return four;
}

static bool same(const union place *a, const union place *b)
{
    if (a->any.sa_family != b->any.sa_family || port_of(a) != port_of(b))
        return false;
    if (a->any.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16);
}

/* Where the guest hears what comes for it: a socket for all addresses does so by loopback. */
static union place heard_at(const struct served *s, int family)
{
    union place at = plain(&s->at);
    if (at.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&at.in6.sin6_addr)) {
        if (family == AF_INET6)
            at.in6.sin6_addr = in6addr_loopback;
        else
            at = (union place){.in = {.sin_family = AF_INET, .sin_port = at.in6.sin6_port}};
    }
    if (at.any.sa_family == AF_INET && !at.in.sin_addr.s_addr)
        at.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static bool anywhere(const struct served *s)
{
    return s->at.any.sa_family == AF_INET ? !s->at.in.sin_addr.s_addr : IN6_IS_ADDR_UNSPECIFIED(&s->at.in6.sin6_addr);
}

/* Which server of the guest's sent this? The one at the address that it comes from, else the one for
 * all addresses; and the peer has spoken to it. */
static int speaker(const struct peer *p, const union place *from)
{
    union place there = plain(from);
    int found = -1;
    for (int i = 0; i < n_served; i++) {
        union place at = plain(&served[i].at);
        if (served[i].fd < 0 || port_of(&at) != port_of(&there))
            continue;
        if (same(&at, &there)) {
            found = i;
            break;
        }
        if (anywhere(&served[i]) && (found < 0 || !(p->spoke_to & 1u << found)))
            found = i;
    }
    return found >= 0 && p->spoke_to & 1u << found ? found : -1;
}

/* To the peer, from the address that it asked. */
static void answer_peer(const struct peer *p, int which, size_t size)
{
    bool four = served[which].at.any.sa_family == AF_INET;
    union place to = p->peer;
    char space[CMSG_SPACE(sizeof(struct in6_pktinfo))] __attribute__((aligned(8))) = {0};
    struct iovec iov = {data, size};
    struct msghdr msg = {.msg_name = &to, .msg_namelen = size_of(&to), .msg_iov = &iov, .msg_iovlen = 1};
    if (!IN6_IS_ADDR_UNSPECIFIED(&p->asked[which])) {
        struct in_pktinfo info = {0};
        struct in6_pktinfo info6 = {.ipi6_addr = p->asked[which]};
        memcpy(&info.ipi_spec_dst, &p->asked[which], sizeof info.ipi_spec_dst);
        msg.msg_control = space;
        msg.msg_controllen = four ? CMSG_SPACE(sizeof info) : CMSG_SPACE(sizeof info6);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        *c = (struct cmsghdr){.cmsg_level = four ? IPPROTO_IP : IPPROTO_IPV6, .cmsg_type = four ? IP_PKTINFO : IPV6_PKTINFO,
                              .cmsg_len = four ? CMSG_LEN(sizeof info) : CMSG_LEN(sizeof info6)};
        memcpy(CMSG_DATA(c), four ? (void *)&info : (void *)&info6, four ? sizeof info : sizeof info6);
    }
    (void)!sendmsg(served[which].fd, &msg, MSG_NOSIGNAL);
}

/* What a peer sent, and which address of the host's it asked. */
static ssize_t hear(int fd, union place *from, struct in6_addr *asked)
{
    char space[256] __attribute__((aligned(8)));
    struct iovec iov = {data, sizeof data};
    struct msghdr msg = {.msg_name = from, .msg_namelen = sizeof *from, .msg_iov = &iov, .msg_iovlen = 1,
                         .msg_control = space, .msg_controllen = sizeof space};
    ssize_t n = recvmsg(fd, &msg, 0);
    for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(asked, &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            if (!IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
                *asked = info.ipi6_addr;
        }
    }
    return n;
}

static void from_guest(struct peer *p)
{
    char space[512];
    struct msghdr errors = {.msg_control = space, .msg_controllen = sizeof space};
    while (recvmsg(p->fd, &errors, MSG_ERRQUEUE) >= 0)
        errors.msg_controllen = sizeof space;
    for (int i = 0; i < AT_ONCE; i++) {
        union place from = {0};
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(p->fd, data, sizeof data, 0, &from.any, &size);
        if (n < 0 && errno == ECONNREFUSED)
            continue;
        if (n < 0)
            return;
        int which = speaker(p, &from);
        if (which < 0)
            continue;
        p->used = ++uses;
        answer_peer(p, which, (size_t)n);
    }
}

/* Servers whose sockets are gone give their ports back: the kernel takes a socket's entry out of
 * `living` when its last descriptor closes, and lists what is left (count.c). */
static void release_servers(void)
{
    bool lives[MAX_SERVED] = {false};
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", living);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        const char *mark = strncmp(line, "tfd:", 4) ? NULL : strstr(line, "data:");
        unsigned long long at = mark ? strtoull(mark + 5, NULL, 16) : MAX_SERVED;
        if (at < MAX_SERVED)
            lives[at] = true;
    }
    if (!file)
        return; /* unknown: as if they lived */
    fclose(file);
    for (int i = 0; i < n_served; i++)
        if (!lives[i] && served[i].fd >= 0) {
            for (unsigned j = 0; j < n_peers; j++) {
                from_guest(&peers[j]);              /* its last answers may still wait */
                peers[j].spoke_to &= ~(1u << i); /* whoever has the number next was not spoken to */
            }
            close(served[i].fd);
            served[i].fd = -1;
        }
}

/* bind(2) of a granted address. A second socket of the guest's there is its own network's affair. */
int serve(const struct theirs *s, const struct sockaddr_storage *to, socklen_t size)
{
    union place at = {0};
    int which = 0, on = 1;
    memcpy(&at, to, size);
    if (living < 0)
        living = epoll_create1(EPOLL_CLOEXEC);
    release_servers();
    while (which < n_served && !(served[which].fd >= 0 && port_of(&at) && same(&served[which].at, &at)))
        which++;
    bool fresh = which == n_served;
    if (fresh) {
        for (which = 0; which < n_served && served[which].fd >= 0;)
            which++;
        if (living < 0 || which == MAX_SERVED)
            return ENOBUFS;
        int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
        if (fd < 0)
            return errno;
        socklen_t room = sizeof at;
        if (to->ss_family == AF_INET6 && option(s->fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        if (bind(fd, (const void *)to, size) < 0 || getsockname(fd, &at.any, &room) < 0 ||
            !watch_datagrams(fd, TAG_SERVED + (uint32_t)which)) {
            int error = errno;
            close(fd);
            return error;
        }
        served[which] = (struct served){fd, at};
        bool four = to->ss_family == AF_INET;
        if (anywhere(&served[which])) /* which of the addresses is asked comes with each datagram */
            setsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof on);
        n_served += which == n_served;
    }
    struct epoll_event none = {.data.u64 = (uint64_t)which};
    int error = bind(s->fd, &at.any, size_of(&at)) < 0 || epoll_ctl(living, EPOLL_CTL_ADD, s->fd, &none) < 0 ? errno : 0;
    if (error && fresh) {
        close(served[which].fd);
        served[which].fd = -1;
    }
    return error;
}

static struct peer *peer_for(const struct plan *plan, const union place *from)
{
    union place inside = plain(from);
    struct peer *oldest = peers;
    unsigned most = plan->connections < MAX_PEERS ? plan->connections : MAX_PEERS;
    for (unsigned i = 0; i < n_peers; i++) {
        if (same(&peers[i].peer, from))
            return &peers[i];
        if (peers[i].used < oldest->used)
            oldest = &peers[i];
    }
    inside.in6.sin6_scope_id = inside.any.sa_family == AF_INET6 ? 0 : inside.in6.sin6_scope_id;
    int on = 1, fd = most ? socket_inside(inside.any.sa_family) : -1;
    struct peer *p = n_peers < most ? &peers[n_peers] : oldest;
    bool four = inside.any.sa_family == AF_INET;
    /* told of a server that is gone (IP_RECVERR) */
    if (fd < 0 || setsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on) < 0 ||
        bind(fd, &inside.any, size_of(&inside)) < 0 || !watch_datagrams(fd, TAG_PEERS + (uint32_t)(p - peers))) {
        if (fd >= 0)
            close(fd);
        return NULL; /* lost, as on any network */
    }
    if (n_peers < most)
        n_peers++;
    else
        close(p->fd);
    *p = (struct peer){.fd = fd, .peer = *from, .inside = inside};
    return p;
}

static void from_peers(const struct plan *plan, int which)
{
    for (int i = 0; i < AT_ONCE && served[which].fd >= 0; i++) {
        union place from = {0};
        struct in6_addr asked = {0};
        ssize_t n = hear(served[which].fd, &from, &asked);
        if (n < 0)
            return;
        if (!port_of(&from) || !welcome(plan, -1, &from.room))
            continue;
        struct peer *p = peer_for(plan, &from);
        if (!p)
            continue;
        p->used = ++uses;
        p->spoke_to |= 1u << which;
        p->asked[which] = asked;
        union place to = heard_at(&served[which], p->inside.any.sa_family);
        (void)!sendto(p->fd, data, (size_t)n, MSG_NOSIGNAL, &to.any, size_of(&to)); /* no room, or an earlier error */
        if (option(p->fd, SOL_SOCKET, SO_ERROR) > 0)
            release_servers();
    }
}

void pass_served(const struct plan *plan, uint32_t tag)
{
    if (tag >= TAG_PEERS)
        from_guest(&peers[tag - TAG_PEERS]);
    else
        from_peers(plan, (int)(tag - TAG_SERVED));
}
