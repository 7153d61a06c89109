/* What keeper and init tell each other, over a socket that keeps messages apart. */
#include "keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void say(const char *line)
{
    while (send(sync_fd, line, strlen(line), MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            _exit(1);
}

void send_descriptor(int to, const char *what, int fd)
{
    char text[16], space[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec iov = {text, (size_t)snprintf(text, sizeof text, "%s", what)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(to, &msg, MSG_NOSIGNAL) < 0)
        _exit(1);
}

/* The mounts travel some at a time: the kernel takes up to 253 descriptors in a message (SCM_MAX_FD). */
enum { AT_ONCE = 128 };

static void one_message(struct msghdr *msg, struct iovec *iov, char *space, size_t room, char *byte)
{
    *iov = (struct iovec){byte, 1};
    *msg = (struct msghdr){.msg_iov = iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = room};
}

/* By the keeper: the detached mounts, in the order of the views, then a message without any. */
void send_trees(int sync, const struct plan *plan)
{
    char space[CMSG_SPACE(AT_ONCE * sizeof(int))] __attribute__((aligned(8)));
    size_t n = 0;
    int fds[AT_ONCE];
    for (size_t i = 0; i <= plan->n_views; i++) {
        bool last = i == plan->n_views;
        if (!last && plan->views[i].fd >= 0)
            fds[n++] = plan->views[i].fd;
        if ((n == AT_ONCE || last) && n) {
            char byte = 't';
            struct iovec iov;
            struct msghdr msg;
            memset(space, 0, sizeof space);
            one_message(&msg, &iov, space, CMSG_SPACE(n * sizeof(int)), &byte);
            struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(n * sizeof(int));
            memcpy(CMSG_DATA(c), fds, n * sizeof(int));
            if (sendmsg(sync, &msg, MSG_NOSIGNAL) != 1)
                fail("keeper", errno, "trees");
            while (n)
                close(fds[--n]);
        }
    }
    if (send(sync, "g", 1, MSG_NOSIGNAL) != 1)
        fail("keeper", errno, "init");
}

void receive_trees(int sync, const struct plan *plan, int *trees)
{
    char space[CMSG_SPACE(AT_ONCE * sizeof(int))] __attribute__((aligned(8)));
    size_t n = 0;
    for (;;) {
        char byte = 0;
        struct iovec iov;
        struct msghdr msg;
        one_message(&msg, &iov, space, sizeof space, &byte);
        if (recvmsg(sync, &msg, MSG_CMSG_CLOEXEC) != 1)
            _exit(1); /* the keeper ended */
        if (byte == 'g')
            break;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
            for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                if (n == MAX_VIEWS)
                    fail("mounts", E2BIG, "trees");
                memcpy(&trees[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            }
    }
    size_t wanted = 0;
    for (size_t i = 0; i < plan->n_views; i++)
        wanted += plan->views[i].kind == VIEW_BIND;
    if (plan->tier != TIER_LANDLOCK && n != wanted)
        fail("mounts", EIO, "trees");
}

/* To an init that shares no memory with the keeper the words go as they came. */
enum { PIECE = 32 << 10 };
struct announced { uint32_t size; int32_t outside; };

void send_plan(int sync, const struct plan *plan)
{
    struct announced first = {.size = (uint32_t)plan->used, .outside = (int32_t)plan->outside};
    if (send(sync, &first, sizeof first, MSG_NOSIGNAL) != sizeof first)
        fail("template", errno, "init");
    for (size_t at = 0; at < first.size;) {
        size_t part = first.size - at < PIECE ? first.size - at : PIECE;
        if (send(sync, plan->text + at, part, MSG_NOSIGNAL) != (ssize_t)part)
            fail("template", errno, "init");
        at += part;
    }
}

void receive_plan(int sync, struct plan *plan)
{
    struct announced first;
    if (recv(sync, &first, sizeof first, 0) != sizeof first)
        _exit(1); /* the keeper ended */
    if (first.size > sizeof plan->text)
        fail("plan", E2BIG, "size");
    plan->outside = first.outside;
    for (size_t at = 0; at < first.size;) {
        ssize_t n = recv(sync, plan->text + at, first.size - at, 0);
        if (n <= 0)
            _exit(1);
        at += (size_t)n;
    }
    plan_parse(plan, first.size);
}
