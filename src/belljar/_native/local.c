/* Connections to granted Unix sockets. The socket that was checked is held open (O_PATH) from the
 * start and reached through that descriptor, so nothing that anybody puts in its place is: not
 * another socket, not a link to one. */
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void open_locals(struct plan *plan)
{
    for (size_t i = 0; i < plan->n_locals; i++) {
        struct local *l = &plan->locals[i];
        struct stat st;
        l->fd = open(l->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (l->fd < 0 || fstat(l->fd, &st) < 0)
            fail("unix-socket", errno, l->path);
        if (!S_ISSOCK(st.st_mode) || st.st_dev != l->dev || st.st_ino != l->ino)
            fail("unix-socket", ESTALE, l->path);
    }
}

static const struct local *granted(const struct plan *plan, const struct sockaddr_storage *to, size_t size)
{
    struct sockaddr_un un = {0};
    if (size > sizeof un)
        return NULL;
    memcpy(&un, to, size);
    char name[sizeof un.sun_path + 1] = ""; /* an abstract name begins with NUL: it is none */
    memcpy(name, un.sun_path, sizeof un.sun_path);
    for (size_t i = 0; *name && i < plan->n_locals; i++)
        if (!strcmp(plan->locals[i].name, name))
            return &plan->locals[i];
    return NULL;
}

int connect_local(const struct plan *plan, const struct call *c, const struct theirs *s,
                  const struct sockaddr_storage *to, size_t size)
{
    const struct local *l = granted(plan, to, size);
    if (!l || s->domain != AF_UNIX || (s->type != SOCK_STREAM && s->type != SOCK_SEQPACKET))
        return EACCES;
    struct sockaddr_un peer, there = {.sun_family = AF_UNIX};
    socklen_t room = sizeof peer;
    if (s->fd >= 0 && getpeername(s->fd, (void *)&peer, &room) == 0)
        return EISCONN;
    if (!room_for_one(plan))
        return ENOBUFS;
    snprintf(there.sun_path, sizeof there.sun_path, "/proc/self/fd/%d", l->fd);
    int error = 0, fd = socket(AF_UNIX, s->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int wants = s->fd < 0 ? 0 : option(s->fd, SOL_SOCKET, SO_PASSCRED);
    if ((wants > 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &wants, sizeof wants) < 0) ||
        connect(fd, (void *)&there, sizeof there) < 0 || (s->patient && fcntl(fd, F_SETFL, 0) < 0))
        error = errno;
    if (!error)
        error = inject(c, fd, (int)c->ask->data.args[0]);
    if (!error)
        count_one(fd);
    close(fd);
    return error;
}
