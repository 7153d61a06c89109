/* Answers to the guest's network calls. The filter stops a call and asks here; the keeper copies
 * the arguments once, decides on its copy, does the thing itself with a socket of its own, and puts
 * that in the place of the guest's descriptor: what was checked is what is used (never "continue",
 * which would read guest memory a second time; seccomp_unotify(2); but see appends.c for what nothing
 * was decided of). It waits for nobody: what does
 * not come about at once waits in a table. */
#include "network.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A connection under way (`fd`), or somebody who accepts (`a`). */
static struct pending { uint64_t id; int fd, guest_fd; bool accepts; struct acceptance a; } waiting[MAX_PENDING];
static int n_waiting;

static void reply(int listener, uint64_t id, int error)
{
    struct seccomp_notif_resp answer = {.id = id, .error = error == CONTINUE ? 0 : -error,
                                        .flags = error == CONTINUE ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* ENOENT: the guest is gone, nothing to tell */
}

static int put(int listener, uint64_t id, int fd, int guest_fd)
{
    struct seccomp_notif_addfd add = {.id = id, .flags = SECCOMP_ADDFD_FLAG_SETFD, .srcfd = (uint32_t)fd,
                                      .newfd = (uint32_t)guest_fd, .newfd_flags = O_CLOEXEC};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? errno : 0;
}

int inject(const struct call *c, int fd, int guest_fd) { return put(c->listener, c->ask->id, fd, guest_fd); }

unsigned pending_connections(void)
{
    unsigned n = 0;
    for (int i = 0; i < n_waiting; i++)
        n += !waiting[i].accepts;
    return n;
}

int answer_when_connected(const struct call *c, int fd, int guest_fd)
{
    if (n_waiting == MAX_PENDING)
        return EAGAIN;
    waiting[n_waiting++] = (struct pending){.id = c->ask->id, .fd = fd, .guest_fd = guest_fd};
    return LATER;
}

int answer_when_accepted(const struct call *c, const struct acceptance *a)
{
    if (n_waiting == MAX_PENDING)
        return EAGAIN;
    waiting[n_waiting++] = (struct pending){.id = c->ask->id, .accepts = true, .a = *a};
    return LATER;
}

static int fd_of(const struct pending *p) { return p->accepts ? p->a.listener_fd : p->fd; }

static void drop(int i)
{
    close(fd_of(&waiting[i]));
    waiting[i] = waiting[--n_waiting];
}

/* Who was interrupted or has ended waits no longer. */
static void forget_the_gone(int listener)
{
    for (int i = 0; i < n_waiting;)
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &waiting[i].id) < 0)
            drop(i);
        else
            i++;
}

void mediate(struct plan *plan, int listener)
{
    struct seccomp_notif ask = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0)
        return; /* the asking thread was killed meanwhile */
    forget_the_gone(listener);
    struct call c = {listener, &ask};
    int error = EPERM;
    switch (ask.data.nr) {
    case __NR_connect: error = connect_call(plan, &c); break;
    case __NR_bind: error = bind_call(plan, &c); break;
    case __NR_listen: error = listen_call(plan, &c); break;
    case __NR_accept:
    case __NR_accept4: error = accept_call(plan, &c); break;
#ifdef __NR_open
    case __NR_open:
    case __NR_creat:
#endif
    case __NR_openat: error = open_call(plan, &c); break;
    }
    if (error != LATER && error != DONE)
        reply(listener, ask.id, error);
}

int pending_descriptors(struct pollfd *out, int room)
{
    int n = 0;
    for (; n < n_waiting && n < room; n++)
        out[n] = (struct pollfd){fd_of(&waiting[n]), waiting[n].accepts ? POLLIN : POLLOUT, 0};
    return n;
}

static int finish_connect(int listener, struct pending *p)
{
    struct pollfd one = {p->fd, POLLOUT, 0};
    if (poll(&one, 1, 0) <= 0)
        return LATER;
    int error = option(p->fd, SOL_SOCKET, SO_ERROR);
    if (error == 0) {
        fcntl(p->fd, F_SETFL, 0);
        error = put(listener, p->id, p->fd, p->guest_fd);
        if (!error)
            count_one(p->fd);
    }
    return error < 0 ? ECONNABORTED : error;
}

void finish_pending(const struct plan *plan, int listener)
{
    forget_the_gone(listener);
    for (int i = 0; i < n_waiting;) {
        struct pending *p = &waiting[i];
        int error = p->accepts ? accept_one(plan, listener, p->id, &p->a) : finish_connect(listener, p);
        if (error == LATER) {
            i++;
            continue;
        }
        if (error || !p->accepts) /* who accepts was answered with the descriptor */
            reply(listener, p->id, error);
        drop(i);
    }
}
