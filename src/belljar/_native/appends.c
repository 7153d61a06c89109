/* open(2) of what may only be added to. Landlock has no such right, and a descriptor opened for
 * appending loses that by fcntl(2): so the guest never has the file. The filter stops calls that
 * create or append and asks here; the keeper opens the real file beneath the granted directory, and
 * the guest gets the end of a pipe instead, whose other end the keeper empties into the file
 * (relays.c). Whatever is done with a pipe, nothing that is in the file already can be read,
 * overwritten, cut, renamed or removed by it.
 *
 * A path that is not of such a grant continues: nothing was decided on the copy, and the guest may
 * write another one meanwhile. The walls decide, as for every open that is not stopped; and they
 * refuse what lies beneath these grants. */
#include "network.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_MOST = 4096, PAGE_LEAST = 4096 };

struct wanted { int at, flags; mode_t mode; uint64_t path; };

void open_appends(struct plan *plan)
{
    for (size_t i = 0; i < plan->n_appends; i++) {
        struct append *a = &plan->appends[i];
        struct stat st;
        a->fd = open(a->host, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (a->fd < 0 || fstat(a->fd, &st) < 0)
            fail("append", errno, a->host);
        if (st.st_dev != a->dev || st.st_ino != a->ino)
            fail("append", ESTALE, a->host);
        a->owner = st.st_uid;
        a->group = st.st_gid;
    }
}

/* The text at `at`, never reading across a page that may not be there. */
static int read_path(pid_t thread, uint64_t at, char *to)
{
    for (size_t n = 0; n < PATH_MOST;) {
        size_t size = PAGE_LEAST - (at + n) % PAGE_LEAST;
        if (size > PATH_MOST - n)
            size = PATH_MOST - n;
        if (!read_guest(thread, at + n, to + n, size))
            return EFAULT;
        if (memchr(to + n, 0, size))
            return 0;
        n += size;
    }
    return ENAMETOOLONG;
}

/* Where a relative path begins, by the guest's own name for it. A wrong answer harms the guest
 * alone: what comes of it is opened beneath a grant of its own, or not here at all. */
static bool starts_at(pid_t thread, int at, char *to)
{
    char link[64];
    if (at == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/%d/cwd", (int)thread);
    else
        snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)thread, at);
    ssize_t n = readlink(link, to, PATH_MOST - 1);
    to[n > 0 ? n : 0] = 0;
    return to[0] == '/';
}

/* `path`, of a directory `from` where it is relative, without `.`, `..` and doubled slashes. False for
 * what ends in one of them: it names a directory. */
static bool normal(const char *from, const char *path, char *out)
{
    char whole[2 * PATH_MOST + 2];
    size_t n = 0;
    snprintf(whole, sizeof whole, "%s/%s", path[0] == '/' ? "" : from, path);
    bool named = false;
    for (char *rest, *part = strtok_r(whole, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        named = strcmp(part, ".") && strcmp(part, "..");
        if (!strcmp(part, ".."))
            while (n > 0 && out[--n] != '/') {
            }
        else if (named) {
            size_t size = strlen(part);
            if (n + size + 2 > PATH_MOST)
                return false;
            out[n++] = '/';
            memcpy(out + n, part, size);
            n += size;
        }
        out[n] = 0;
    }
    return named && path[strlen(path) - 1] != '/';
}

/* What lies behind `root/` or, where `itself`, nothing: NULL when `path` does not lie there. */
static const char *behind(const char *root, const char *path, bool itself)
{
    size_t n = strlen(root);
    if (strncmp(root, path, n))
        return NULL;
    if (!path[n])
        return itself ? path + n : NULL;
    return path[n] == '/' ? path + n + 1 : NULL;
}

/* The grant that decides, the longest; and the name beneath its directory. */
static const struct append *covering(const struct plan *plan, const char *path, const char **rest)
{
    const struct append *found = NULL;
    for (size_t i = 0; i < plan->n_appends; i++) {
        const struct append *a = &plan->appends[i];
        const char *name = behind(a->guest, path, a->name[0]);
        if (!name || (a->name[0] && *name) || (found && strlen(found->guest) >= strlen(a->guest)))
            continue;
        found = a;
        *rest = a->name[0] ? a->name : name;
    }
    return found;
}

static int open_as(const struct append *a, const char *name, int flags, mode_t mode)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_WRONLY | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC),
                           .mode = flags & O_CREAT ? mode & 0644 : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    bool other = geteuid() == 0 && a->owner != 0; /* a file that root makes for another is his, as with `write` */
    if (other) {
        setfsgid(a->group);
        setfsuid(a->owner);
    }
    int fd = (int)syscall(SYS_openat2, a->fd, name, &how, sizeof how);
    int error = errno;
    if (other) {
        setfsuid(0);
        setfsgid(getegid());
    }
    errno = error;
    return fd;
}

/* What was there before: a plain file with one name, and the directory's owner's where root asks. */
static int check_old(const struct append *a, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || (geteuid() == 0 && st.st_uid != a->owner))
        return EACCES;
    return 0;
}

/* The real file, in *fd. */
static int open_real(const struct append *a, const char *name, const struct wanted *w, int *fd)
{
    if (w->flags & O_CREAT) {
        if (!may_create())
            return ENOSPC;
        *fd = open_as(a, name, O_CREAT | O_EXCL, w->mode);
        if (*fd >= 0) {
            count_created();
            return 0;
        }
        if (errno != EEXIST || (w->flags & O_EXCL))
            return errno == ELOOP || errno == EXDEV ? EACCES : errno;
    }
    /* of a file that is granted by its name, emptying it does nothing: so programs that begin with
     * "w" go on, as they do where a pipe lies at the path (appended.py) */
    if (!(w->flags & O_APPEND && !(w->flags & O_TRUNC)) && !a->name[0])
        return EACCES;
    *fd = open_as(a, name, 0, 0);
    if (*fd < 0)
        return errno == ELOOP || errno == EXDEV || errno == ENXIO ? EACCES : errno;
    int error = check_old(a, *fd);
    if (error)
        close(*fd);
    return error;
}

static struct wanted asked(const struct seccomp_data *d)
{
#ifdef __NR_open
    if (d->nr == __NR_open)
        return (struct wanted){AT_FDCWD, (int)d->args[1], (mode_t)d->args[2], d->args[0]};
    if (d->nr == __NR_creat)
        return (struct wanted){AT_FDCWD, O_WRONLY | O_CREAT | O_TRUNC, (mode_t)d->args[1], d->args[0]};
#endif
    return (struct wanted){(int)d->args[0], (int)d->args[2], (mode_t)d->args[3], d->args[1]};
}

int open_call(const struct plan *plan, const struct call *c)
{
    static char path[PATH_MOST], from[PATH_MOST], whole[PATH_MOST];
    struct wanted w = asked(&c->ask->data);
    const char *rest = "";
    if ((w.flags & O_ACCMODE) == O_RDONLY || w.flags & (O_PATH | O_DIRECTORY))
        return CONTINUE;
    if (read_path((pid_t)c->ask->pid, w.path, path) || !path[0])
        return CONTINUE; /* the kernel says what is wrong with it */
    if (path[0] != '/' && !starts_at((pid_t)c->ask->pid, w.at, from))
        return CONTINUE;
    if (!still_asks(c))
        return ESRCH;
    if (!normal(from, path, whole))
        return CONTINUE;
    const struct append *a = covering(plan, whole, &rest);
    for (size_t i = 0; a && i < plan->n_others; i++)
        if (strlen(plan->others[i]) > strlen(a->guest) && behind(plan->others[i], whole, true))
            return CONTINUE; /* a grant of another kind, inside this one */
    if (!a)
        return CONTINUE;
    for (size_t i = 0; i < plan->n_kept; i++)
        if (behind(plan->kept[i], whole, true))
            return EACCES;
    if ((w.flags & O_ACCMODE) != O_WRONLY)
        return EACCES;
    if (relays_full())
        return EMFILE;
    int file, error = open_real(a, rest, &w, &file);
    return error ? error : relay_to(c, file, w.flags);
}
