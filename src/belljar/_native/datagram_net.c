/* The guest's side of granted UDP. Init makes every granted network a local one of the guest's
 * empty network namespace (an "any IP" route, ip-route(8)) and listens there on the granted ports;
 * the keeper passes on what comes. So connect, send, sendto, sendmsg, sendmmsg and recvfrom are the
 * kernel's own, with the right peer addresses; nothing is trapped and nothing of the guest's
 * memory is read; and no socket of the host's is ever in its hands. */
#include "keeper.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
enum { LOOPBACK = 1 }; /* its interface number in every namespace */

static void raise_loopback(void)
{
    struct ifreq one = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &one) < 0)
        fail("datagrams", errno, "loopback");
    close(fd);
}

static void make_local(int netlink, const struct address *a)
{
    size_t size = a->family == AF_INET ? 4 : 16;
    struct {
        struct nlmsghdr head;
        struct rtmsg route;
        char rest[64];
    } ask = {
        .head = {.nlmsg_type = RTM_NEWROUTE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK,
                 .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg))},
        .route = {.rtm_family = (unsigned char)a->family, .rtm_dst_len = (unsigned char)a->prefix,
                  .rtm_table = RT_TABLE_LOCAL, .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_HOST,
                  .rtm_type = RTN_LOCAL},
    };
    const struct { unsigned short type; const void *data; size_t size; } parts[] = {
        {RTA_DST, a->ip, size}, {RTA_OIF, &(int){LOOPBACK}, sizeof(int)}};
    for (size_t i = 0; i < 2; i++) {
        struct rtattr *part = (void *)((char *)&ask + NLMSG_ALIGN(ask.head.nlmsg_len));
        part->rta_type = parts[i].type;
        part->rta_len = (unsigned short)RTA_LENGTH(parts[i].size);
        memcpy(RTA_DATA(part), parts[i].data, parts[i].size);
        ask.head.nlmsg_len = NLMSG_ALIGN(ask.head.nlmsg_len) + (unsigned)RTA_ALIGN(part->rta_len);
    }
    struct { struct nlmsghdr head; struct nlmsgerr error; char rest[256]; } got;
    if (send(netlink, &ask, ask.head.nlmsg_len, 0) < 0 || recv(netlink, &got, sizeof got, 0) < (ssize_t)sizeof got.head)
        fail("datagrams", errno, "route");
    if (got.head.nlmsg_type != NLMSG_ERROR || (got.error.error && got.error.error != -EEXIST))
        fail("datagrams", -got.error.error, "route");
}

/* One socket for a port and a family: it hears whatever address the guest sends to. */
static int listen_for(const struct address *a)
{
    bool four = a->family == AF_INET;
    int one = 1, fd = socket(a->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)a->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)a->port)};
    int level = four ? IPPROTO_IP : IPPROTO_IPV6;
    if (fd < 0 || (!four && setsockopt(fd, level, IPV6_V6ONLY, &one, sizeof one) < 0) ||
        setsockopt(fd, level, four ? IP_FREEBIND : IPV6_FREEBIND, &one, sizeof one) < 0 ||
        setsockopt(fd, level, four ? IP_PKTINFO : IPV6_RECVPKTINFO, &one, sizeof one) < 0 ||
        bind(fd, four ? (void *)&in : (void *)&in6, four ? sizeof in : sizeof in6) < 0)
        fail("datagrams", errno, "socket");
    return fd;
}

static bool is_wildcard(const struct address *a)
{
    static const unsigned char none[16];
    return !memcmp(a->ip, none, sizeof none) && a->prefix == (a->family == AF_INET ? 32 : 128);
}

void open_datagrams(const struct plan *plan, void (*give)(int fd))
{
    if (!(plan->n_datagrams || plan->n_serves) || plan->tier == TIER_LANDLOCK)
        return;
    raise_loopback();
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (netlink < 0)
        fail("datagrams", errno, "netlink");
    for (size_t i = 0; i < plan->n_addresses; i++) {
        const struct address *a = &plan->addresses[i];
        if (a->protocol != IPPROTO_UDP)
            continue;
        make_local(netlink, a);
        bool heard = false;
        for (size_t j = 0; j < i; j++)
            heard |= plan->addresses[j].protocol == IPPROTO_UDP && plan->addresses[j].family == a->family &&
                     plan->addresses[j].port == a->port;
        if (!heard)
            give(listen_for(a));
    }
    /* A server has the addresses of its grant, and its peers send from theirs (serve.c). */
    for (size_t i = 0; plan->n_serves && i < plan->n_binds; i++)
        if (plan->binds[i].protocol == IPPROTO_UDP && !is_wildcard(&plan->binds[i]))
            make_local(netlink, &plan->binds[i]);
    for (size_t i = 0; plan->n_serves && i < plan->n_peers; i++)
        make_local(netlink, &plan->peers[i]);
    close(netlink);
}
