/* The host's side of granted UDP (datagram_net.c): what the guest sends to a granted address leaves
 * by a socket of the keeper's that is connected to that address, so that nobody else can answer;
 * what comes back is given to the guest's port as from there. One socket for each pair of a port of
 * the guest's and an address; the one that was idle for longest makes room. */
#include "network.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_HEARD = 64, MAX_FLOWS = 128, AT_ONCE = 64, LARGEST = 65536 };
union place { struct sockaddr any; struct sockaddr_storage room; struct sockaddr_in in; struct sockaddr_in6 in6; };
struct flow { int fd, heard; uint64_t used; union place guest, there; };

static int polled = -1, heard[MAX_HEARD], n_heard;
static struct flow flows[MAX_FLOWS];
static int n_flows;
static uint64_t uses;
static char data[LARGEST];

bool watch_datagrams(int fd, uint32_t tag)
{
    if (polled < 0)
        polled = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
    return epoll_ctl(polled, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* A socket that init made in the guest's network namespace. */
void hear_datagrams(int fd)
{
    if (n_heard == MAX_HEARD || !watch_datagrams(fd, (uint32_t)n_heard))
        fail("datagrams", polled < 0 ? errno : E2BIG, "too many ports");
    heard[n_heard++] = fd;
}

int datagram_descriptor(void) { return polled; }

static socklen_t size_of(const union place *p)
{
    return p->any.sa_family == AF_INET ? sizeof p->in : sizeof p->in6;
}

static bool same(const union place *a, const union place *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return a->in6.sin6_port == b->in6.sin6_port && !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16);
}

/* Where the guest sent it: the port is the socket's, the address comes with the datagram. */
static bool destination(int fd, struct msghdr *msg, union place *there)
{
    socklen_t size = sizeof *there;
    memset(there, 0, sizeof *there);
    if (getsockname(fd, &there->any, &size) < 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            there->in.sin_addr = info.ipi_addr;
            return true;
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            there->in6.sin6_addr = info.ipi6_addr;
            return true;
        }
    }
    return false;
}

static struct flow *flow_for(const struct plan *plan, int which, const union place *guest, const union place *there)
{
    struct flow *oldest = flows;
    int most = plan->connections < MAX_FLOWS ? (int)plan->connections : MAX_FLOWS;
    for (int i = 0; i < n_flows; i++) {
        if (flows[i].heard == which && same(&flows[i].guest, guest) && same(&flows[i].there, there))
            return &flows[i];
        if (flows[i].used < oldest->used)
            oldest = &flows[i];
    }
    int fd = socket(there->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (fd < 0 || !most) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct flow *f = n_flows < most ? &flows[n_flows] : oldest;
    if (connect(fd, &there->any, size_of(there)) < 0 || !watch_datagrams(fd, (uint32_t)(MAX_HEARD + (f - flows)))) {
        close(fd);
        return NULL; /* no way there: as on any network, what is sent is lost */
    }
    if (n_flows < most)
        n_flows++;
    else
        close(f->fd);
    *f = (struct flow){.fd = fd, .heard = which, .guest = *guest, .there = *there};
    return f;
}

static void from_guest(const struct plan *plan, int which)
{
    for (int i = 0; i < AT_ONCE; i++) {
        union place guest, there;
        char space[256] __attribute__((aligned(8)));
        struct iovec iov = {data, sizeof data};
        struct msghdr msg = {.msg_name = &guest, .msg_namelen = sizeof guest, .msg_iov = &iov, .msg_iovlen = 1,
                             .msg_control = space, .msg_controllen = sizeof space};
        memset(&guest, 0, sizeof guest);
        ssize_t n = recvmsg(heard[which], &msg, 0);
        if (n < 0)
            return;
        if (!destination(heard[which], &msg, &there) ||
            !in_grants(plan->addresses, plan->n_addresses, IPPROTO_UDP, &there.room))
            continue;
        struct flow *f = flow_for(plan, which, &guest, &there);
        if (!f)
            continue;
        f->used = ++uses;
        if (send(f->fd, data, (size_t)n, MSG_NOSIGNAL) < 0) /* an ICMP error of an earlier one is told now */
            (void)!send(f->fd, data, (size_t)n, MSG_NOSIGNAL);
    }
}

static void to_guest(struct flow *f)
{
    for (int i = 0; i < AT_ONCE; i++) {
        ssize_t n = recv(f->fd, data, sizeof data, 0);
        if (n < 0)
            return;
        bool four = f->there.any.sa_family == AF_INET;
        char space[CMSG_SPACE(sizeof(struct in6_pktinfo))] __attribute__((aligned(8))) = {0};
        struct iovec iov = {data, (size_t)n};
        struct msghdr msg = {.msg_name = &f->guest, .msg_namelen = size_of(&f->guest), .msg_iov = &iov, .msg_iovlen = 1,
                             .msg_control = space};
        msg.msg_controllen = four ? CMSG_SPACE(sizeof(struct in_pktinfo)) : sizeof space;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = four ? IPPROTO_IP : IPPROTO_IPV6;
        c->cmsg_type = four ? IP_PKTINFO : IPV6_PKTINFO;
        struct in_pktinfo info = {.ipi_spec_dst = f->there.in.sin_addr};
        struct in6_pktinfo info6 = {.ipi6_addr = f->there.in6.sin6_addr};
        c->cmsg_len = CMSG_LEN(four ? sizeof info : sizeof info6);
        memcpy(CMSG_DATA(c), four ? (void *)&info : (void *)&info6, four ? sizeof info : sizeof info6);
        f->used = ++uses;
        (void)!sendmsg(heard[f->heard], &msg, MSG_NOSIGNAL); /* lost where the guest has no room */
    }
}

void pass_datagrams(const struct plan *plan)
{
    struct epoll_event events[16];
    int n = epoll_wait(polled, events, 16, 0);
    for (int i = 0; i < n; i++) {
        uint32_t tag = events[i].data.u32;
        if (tag < MAX_HEARD)
            from_guest(plan, (int)tag);
        else if (tag >= TAG_SERVED)
            pass_served(plan, tag);
        else
            to_guest(&flows[tag - MAX_HEARD]);
    }
}
