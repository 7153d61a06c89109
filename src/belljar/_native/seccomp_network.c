/* The part of the filter that deals with sockets. */
#include "filter.h"

#include <asm/unistd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* within begin/done, with the type loaded */
static void stream_types(struct filter *f, bool datagrams)
{
    emit(f, BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0); /* without SOCK_CLOEXEC and SOCK_NONBLOCK */
    allow_value(f, SOCK_STREAM);
    allow_value(f, datagrams ? SOCK_DGRAM : SOCK_SEQPACKET);
    answer(f, ERRNO(EACCES));
}

/* within begin/done, with the family loaded: 0, TCP and UDP, and no cousin of theirs (MPTCP,
 * UDP-Lite, SCTP, SMC) */
static void internet(struct filter *f, int family, bool datagrams)
{
    unsigned b = begin(f, family);
    low(f, 2);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 2, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, datagrams ? IPPROTO_UDP : IPPROTO_TCP, 1, 0);
    answer(f, ERRNO(EACCES));
    low(f, 1);
    if (datagrams) {
        stream_types(f, true);
    } else {
        emit(f, BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0);
        allow_value(f, SOCK_STREAM);
        answer(f, ERRNO(EACCES));
    }
    done(f, b);
}

static const unsigned SOCKET_OPTIONS[] = {
    SO_REUSEADDR, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_OOBINLINE, SO_LINGER, SO_REUSEPORT, SO_RCVLOWAT,
    SO_RCVTIMEO, SO_SNDTIMEO, 66 /* SO_RCVTIMEO_NEW */, 67 /* SO_SNDTIMEO_NEW */, SO_PASSCRED, SO_BROADCAST,
};
static const unsigned TCP_OPTIONS[] = {
    TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2,
    TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP, TCP_QUICKACK, TCP_USER_TIMEOUT, 25 /* TCP_NOTSENT_LOWAT */,
};

/* within begin/done, with the level loaded: if (level == this) only these options; reloads it */
static void option_level(struct filter *f, int level, const unsigned *options, size_t count)
{
    unsigned b = begin(f, level);
    low(f, 2);
    for (size_t i = 0; i < count; i++)
        allow_value(f, options[i]);
    answer(f, ERRNO(ENOPROTOOPT));
    done(f, b);
}

/* Sending: looked at early, because what comes after a connection is most of what there is. */
void send_calls(struct filter *f, const struct plan *plan)
{
    /* Where the datagram sockets are those of an empty network namespace, an address may be given:
     * only granted ones lead anywhere. Without UDP grants there is nothing to send to, and nobody to answer. */
    unsigned b = begin(f, __NR_sendto);
    low(f, 3);
    refuse_bits(f, MSG_FASTOPEN, ERRNO(EACCES));
    if (plan->tier == TIER_LANDLOCK || !(plan->n_datagrams || plan->n_serves)) {
        low(f, 4);
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        answer(f, ERRNO(EACCES));
        high(f, 4);
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        answer(f, ERRNO(EACCES));
    }
    answer(f, SECCOMP_RET_ALLOW);
    done(f, b);
    /* TCP Fast Open connects by sending: past the mediation, and Landlock does not see it */
    static const struct { int call, flags; } SENDING[] = {{__NR_sendmsg, 2}, {__NR_sendmmsg, 3}};
    for (size_t i = 0; i < sizeof SENDING / sizeof *SENDING; i++) {
        b = begin(f, SENDING[i].call);
        low(f, SENDING[i].flags);
        refuse_bits(f, MSG_FASTOPEN, ERRNO(EACCES));
        answer(f, SECCOMP_RET_ALLOW);
        done(f, b);
    }
}

void network_calls(struct filter *f, const struct plan *plan)
{
    /* No netlink, packet, raw, vsock, alg ... sockets. No Unix datagrams: sendmsg could name any
     * socket in a granted directory. Without a network namespace the sockets are the host's: only
     * of a kind that does nothing without connect, bind or listen, and only when it can be used. */
    bool isolated = plan->tier != TIER_LANDLOCK;
    unsigned b = begin(f, __NR_socket);
    low(f, 0);
    bool ports = plan->n_to_ports || plan->n_at_ports; /* Landlock knows which; TCP only */
    if (isolated || plan->n_addresses || plan->n_binds || ports) {
        internet(f, AF_INET, isolated);
        internet(f, AF_INET6, isolated);
    }
    if (isolated || plan->n_locals || plan->n_local_binds) {
        unsigned u = begin(f, AF_UNIX);
        low(f, 1);
        stream_types(f, false);
        done(f, u);
    }
    answer(f, ERRNO(EACCES));
    done(f, b);
    b = begin(f, __NR_socketpair);
    low(f, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0);
    answer(f, ERRNO(EACCES));
    low(f, 1);
    stream_types(f, false);
    done(f, b);
    if (plan->n_appends && !connects(plan)) { /* without a socket: to have the keeper forget some (narrow_net.c) */
        b = begin(f, __NR_connect);
        low(f, 0);
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)-1, 0, 1);
        answer(f, SECCOMP_RET_USER_NOTIF);
        answer(f, ERRNO(EACCES));
        done(f, b);
    }
    on_call(f, __NR_connect, connects(plan) ? SECCOMP_RET_USER_NOTIF : plan->n_to_ports ? SECCOMP_RET_ALLOW : ERRNO(EACCES));
    bool binds = listens(plan) || (isolated && plan->n_datagrams); /* clients name their own port, too */
    on_call(f, __NR_bind, binds ? SECCOMP_RET_USER_NOTIF : plan->n_at_ports ? SECCOMP_RET_ALLOW : ERRNO(EACCES));
    static const int SERVING[] = {__NR_listen, __NR_accept, __NR_accept4};
    for (size_t i = 0; i < sizeof SERVING / sizeof *SERVING; i++) {
        bool own = plan->n_at_ports || (plan->allow_accept && SERVING[i] != __NR_listen);
        on_call(f, SERVING[i], listens(plan) ? SECCOMP_RET_USER_NOTIF : own ? SECCOMP_RET_ALLOW : ERRNO(EACCES));
    }
    /* A connected socket is the host's: only options that tune the connection itself, none that
     * turn it into another thing (fast open, ULP, repair) or act on the host (multicast, devices) */
    b = begin(f, __NR_setsockopt);
    low(f, 1);
    option_level(f, SOL_SOCKET, SOCKET_OPTIONS, sizeof SOCKET_OPTIONS / sizeof *SOCKET_OPTIONS);
    option_level(f, IPPROTO_TCP, TCP_OPTIONS, sizeof TCP_OPTIONS / sizeof *TCP_OPTIONS);
    option_level(f, IPPROTO_IP, (const unsigned[]){IP_TOS}, 1);
    option_level(f, IPPROTO_IPV6, (const unsigned[]){IPV6_V6ONLY, IPV6_TCLASS}, 2);
    answer(f, ERRNO(ENOPROTOOPT));
    done(f, b);
}
