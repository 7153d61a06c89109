/* Answers to the guest's network calls. The filter stops a call and asks here; the keeper copies
 * the arguments once, decides on its copy, does the thing itself with a socket of its own, and puts
 * that in the place of the guest's descriptor: what was checked is what is used (never "continue",
 * which would read guest memory a second time; seccomp_unotify(2)). It waits for nobody: what does
 * not come about at once waits in a table. */
#include "network.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct pending { uint64_t id; int fd, guest_fd; } waiting[MAX_PENDING];
static int n_waiting;

static void reply(int listener, uint64_t id, int error)
{
    struct seccomp_notif_resp answer = {.id = id, .error = -error};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* ENOENT: the guest is gone, nothing to tell */
}

static int put(int listener, uint64_t id, int fd, int guest_fd)
{
    struct seccomp_notif_addfd add = {.id = id, .flags = SECCOMP_ADDFD_FLAG_SETFD, .srcfd = (uint32_t)fd,
                                      .newfd = (uint32_t)guest_fd, .newfd_flags = O_CLOEXEC};
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? errno : 0;
}

int inject(const struct call *c, int fd, int guest_fd) { return put(c->listener, c->ask->id, fd, guest_fd); }

int answer_when_connected(const struct call *c, int fd, int guest_fd)
{
    if (n_waiting == MAX_PENDING)
        return EAGAIN;
    waiting[n_waiting++] = (struct pending){c->ask->id, fd, guest_fd};
    return LATER;
}

void mediate(const struct plan *plan, int listener)
{
    struct seccomp_notif ask = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0)
        return; /* the asking thread was killed meanwhile */
    struct call c = {listener, &ask};
    int error = EPERM;
    if (ask.data.nr == __NR_connect)
        error = connect_call(plan, &c);
    if (error != LATER)
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
            error = put(listener, waiting[i].id, waiting[i].fd, waiting[i].guest_fd);
        }
        reply(listener, waiting[i].id, error < 0 ? ECONNABORTED : error);
        close(waiting[i].fd);
        waiting[i] = waiting[--n_waiting];
    }
}
