/* Granted Unix sockets: connections to them, and listening. The socket that was checked is held open (O_PATH) from the
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
    for (size_t i = 0; i < plan->n_local_binds; i++) {
        struct local_bind *l = &plan->local_binds[i];
        struct stat st;
        l->fd = open(l->folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (l->fd < 0 || fstat(l->fd, &st) < 0)
            fail("unix-socket", errno, l->folder);
        if (st.st_dev != l->dev || st.st_ino != l->ino)
            fail("unix-socket", ESTALE, l->folder);
    }
}

/* The path of an address; "" for what has none (an abstract name begins with NUL). */
static void name_of(const struct sockaddr_storage *to, size_t size, char name[static sizeof((struct sockaddr_un){0}.sun_path) + 1])
{
    struct sockaddr_un un = {0};
    memset(name, 0, sizeof un.sun_path + 1);
    if (size > sizeof un)
        return;
    memcpy(&un, to, size);
    memcpy(name, un.sun_path, sizeof un.sun_path);
}

static const struct local *granted(const struct plan *plan, const struct sockaddr_storage *to, size_t size)
{
    char name[sizeof((struct sockaddr_un){0}.sun_path) + 1];
    name_of(to, size, name);
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

/* A socket that a run before this one left behind, which nobody holds any more: unix(7) leaves it to us.
 * Only one of our own user's. It is asked with a socket of a kind that cannot be connected to what
 * listens: the kernel says EPROTOTYPE where there is somebody, who hears nothing of it. */
static bool left_behind(const struct local_bind *l)
{
    struct stat st, now;
    struct sockaddr_un there = {.sun_family = AF_UNIX};
    int at = openat(l->fd, l->file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(there.sun_path, sizeof there.sun_path, "/proc/self/fd/%d", at);
    bool ours = at >= 0 && fd >= 0 && fstat(at, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid();
    bool dead = ours && connect(fd, (void *)&there, sizeof there) < 0 && errno == ECONNREFUSED;
    bool same = dead && fstatat(l->fd, l->file, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == st.st_ino && now.st_dev == st.st_dev;
    if (at >= 0)
        close(at);
    if (fd >= 0)
        close(fd);
    return same && unlinkat(l->fd, l->file, 0) == 0;
}

/* By its name in the directory that was checked, whatever has become of the path to it. */
static int bind_beneath(struct local_bind *l, int fd)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;
    int error = 0;
    if (fchdir(l->fd) < 0)
        return errno;
    snprintf(at.sun_path, sizeof at.sun_path, "%s", l->file);
    mode_t mask = umask(0177);
    if (bind(fd, (void *)&at, sizeof at) < 0)
        error = errno;
    if (error == EADDRINUSE && left_behind(l))
        error = bind(fd, (void *)&at, sizeof at) < 0 ? errno : 0;
    umask(mask);
    if (!error && fstatat(l->fd, l->file, &st, AT_SYMLINK_NOFOLLOW) == 0)
        l->made = st.st_ino;
    return chdir("/") < 0 ? errno : error;
}

int bind_local(struct plan *plan, const struct call *c, const struct theirs *s,
               const struct sockaddr_storage *to, size_t size)
{
    char name[sizeof((struct sockaddr_un){0}.sun_path) + 1];
    struct local_bind *l = NULL;
    name_of(to, size, name);
    for (size_t i = 0; *name && i < plan->n_local_binds; i++)
        if (!strcmp(plan->local_binds[i].name, name))
            l = &plan->local_binds[i];
    if (!l || s->domain != AF_UNIX || (s->type != SOCK_STREAM && s->type != SOCK_SEQPACKET))
        return EACCES;
    int fd = socket(AF_UNIX, s->type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    release_closed((pid_t)c->ask->pid);
    int error = bind_beneath(l, fd);
    if (!error)
        error = give_bound(c, s, fd);
    close(fd);
    return error;
}

/* The guest is gone: so is what it listened at. */
void remove_local_binds(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_local_binds; i++) {
        const struct local_bind *l = &plan->local_binds[i];
        struct stat st;
        if (l->made && fstatat(l->fd, l->file, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == l->made && S_ISSOCK(st.st_mode))
            unlinkat(l->fd, l->file, 0);
    }
}
