#define _GNU_SOURCE
#include "whereabouts.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "paths.h"

enum { HERE = -1, UNTOLD = -2 }; /* instead of a descriptor */

static PyObject *argument(PyObject *args, int i)
{
    return i >= 0 && i < PyTuple_Size(args) ? PyTuple_GetItem(args, i) : NULL;
}

static long descriptor(PyObject *o)
{
    int overflow = 0;
    if (o == NULL || !bj_exactly(o, &PyLong_Type))
        return UNTOLD;
    long long fd = PyLong_AsLongLongAndOverflow(o, &overflow);
    return overflow || fd < HERE || fd > INT32_MAX ? UNTOLD : (long)fd;
}

/* What /proc says of a descriptor, where that is the name of something that is still there. */
static const char *name_of(long fd, char *room)
{
    static const char deleted[] = " (deleted)";
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%ld", fd);
    ssize_t len = readlink(link, room, BJ_PATH - 1);
    size_t end = sizeof deleted - 1;
    if (len <= 0 || room[0] != '/')
        return NULL;
    room[len] = '\0';
    return (size_t)len >= end && strcmp(room + len - end, deleted) == 0 ? NULL : room;
}

static int is_open(const struct bj_file_event *event) { return event->need[0] == 'o'; }

/* Names without a slash that a search path finds, not the working directory. */
static int is_searched(const struct bj_file_event *event, const char *path, size_t len)
{
    return memchr(path, '/', len) == NULL &&
           (strcmp(event->name, "ctypes.dlopen") == 0 || strcmp(event->name, "subprocess.Popen") == 0);
}

const char *bj_base_of(const struct bj_file_event *event, PyObject *args, char *room)
{
    for (int i = event->path[1] >= 0; i >= 0; i--) {
        PyObject *o = argument(args, event->path[i]), *keep;
        const char *path;
        Py_ssize_t len = 0;
        if (o == NULL)
            continue;
        if (bj_exactly(o, &PyLong_Type)) {
            long fd = is_open(event) ? UNTOLD : descriptor(o); /* opening one opens nothing */
            return fd >= 0 ? name_of(fd, room) : NULL;
        }
        if (o == Py_None && event->need[0] == 'l')
            return getcwd(room, BJ_PATH);
        if (bj_path_bytes(o, &path, &len, &keep) < 0)
            continue;
        int relative = len > 0 && path[0] != '/' && !is_searched(event, path, (size_t)len);
        Py_DecRef(keep);
        if (!relative)
            continue;
        if (is_open(event) && argument(args, 1) == Py_None)
            return NULL; /* os.open does not tell its dir_fd */
        PyObject *from = argument(args, event->dir_fd[i]);
        long fd = event->dir_fd[i] < 0 || from == NULL ? HERE : descriptor(from);
        return fd == HERE ? getcwd(room, BJ_PATH) : fd >= 0 ? name_of(fd, room) : NULL;
    }
    return NULL;
}

const char *bj_base_of_address(PyObject *args, char *room)
{
    PyObject *o = argument(args, 1), *keep;
    const char *path;
    Py_ssize_t len = 0;
    if (o == NULL || (!bj_exactly(o, &PyUnicode_Type) && !bj_exactly(o, &PyBytes_Type)) ||
        bj_path_bytes(o, &path, &len, &keep) < 0)
        return NULL;
    int relative = len > 0 && path[0] != '/' && path[0] != '\0'; /* that is an abstract one */
    Py_DecRef(keep);
    return relative ? getcwd(room, BJ_PATH) : NULL;
}

static const char *follow(const char *path, char *room)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC);
    const char *found = fd < 0 ? NULL : name_of(fd, room);
    if (fd >= 0)
        syscall(SYS_close, fd);
    return found;
}

/* The directory that holds it, and its own name behind: what removing and renaming act on. */
static const char *follow_parent(char *path, char *room)
{
    char last[256], *slash = strrchr(path, '/');
    if (slash == NULL || strlen(slash) >= sizeof last || strcmp(slash, "/..") == 0 || slash[1] == '\0')
        return NULL;
    strcpy(last, slash);
    slash[slash == path] = '\0';
    const char *found = follow(path, room);
    size_t len = found == NULL ? 0 : strlen(found);
    if (found == NULL || len + strlen(last) >= BJ_PATH)
        return NULL;
    strcpy(room + (len == 1 ? 0 : len), last);
    return room;
}

static int acts_on_name(const char *name)
{
    static const char *const names[] = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link",
                                        "os.symlink"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return 1;
    return 0;
}

const char *bj_resolved(const struct bj_file_event *event, PyObject *args, const char *base, char *room)
{
    char asked[BJ_PATH], plain[BJ_PATH];
    PyObject *o = argument(args, event->path[event->path[1] >= 0]), *keep;
    const char *path, *found = NULL;
    Py_ssize_t len = 0;
    size_t size;
    if (o == NULL || bj_path_bytes(o, &path, &len, &keep) < 0)
        return NULL;
    int absolute = len > 0 && path[0] == '/', n = -1;
    if (len > 0 && strlen(path) == (size_t)len && (absolute || base != NULL))
        n = snprintf(asked, sizeof asked, "%s%s%s", absolute ? "" : base, absolute ? "" : "/", path);
    Py_DecRef(keep);
    if (n <= 0 || n >= BJ_PATH || bj_normalise(plain, &size, asked, (size_t)n) < 0)
        return NULL;
    if (!acts_on_name(event->name))
        found = follow(asked, room);
    if (found == NULL)
        found = follow_parent(asked, room);
    return found != NULL && strcmp(found, plain) != 0 ? found : NULL;
}
