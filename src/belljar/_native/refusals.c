/* The wall's answer in the window's words. On a read grant the kernel says EROFS, because the
 * read-only mount answers before Landlock does; the window says EACCES, which Python makes a
 * PermissionError. Behind an open window the C library's calls say EACCES, too, so that a program
 * meets one refusal for one thing. Raw system calls still see EROFS: nothing here is a wall. */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS /* makes open another name of open64; both are defined here */
#include "opens.h"
#include "silence.h"
#include "window.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static void reword(void)
{
    if (errno == EROFS && bj_window_is_open())
        errno = EACCES;
}

struct real {
    const char *name;
    void *call;
};
#define KEPT_TOGETHER __attribute__((section("bj_reals"), used))
extern struct real __start_bj_reals[], __stop_bj_reals[];

/* In a guest all at once, before there is a handler or a vfork child that might call one;
 * elsewhere each at its first call. */
__attribute__((constructor(102))) static void find_all(void)
{
    if (getenv("BELLJAR_WINDOW") != NULL || getenv("BELLJAR_TEMPLATE") != NULL)
        for (struct real *real = __start_bj_reals; real < __stop_bj_reals; real++)
            real->call = dlsym(RTLD_NEXT, real->name);
}

static void *find(struct real *real)
{
    if (real->call == NULL)
        real->call = dlsym(RTLD_NEXT, real->name);
    return real->call;
}

#define FORWARD(...) FORWARD_AFTER(, __VA_ARGS__)
#define FORWARD_AFTER(first, result, failed, name, parameters, arguments)             \
    EXPORT result name parameters;                                                    \
    EXPORT result name parameters                                                     \
    {                                                                                 \
        KEPT_TOGETHER static struct real real = {#name, NULL};                        \
        result(*call) parameters;                                                     \
        bj_silence_look();                                                            \
        first;                                                                        \
        *(void **)&call = find(&real);                                                \
        if (call == NULL) {                                                           \
            errno = ENOSYS;                                                           \
            return failed;                                                            \
        }                                                                             \
        result done = call arguments;                                                 \
        if (done == failed)                                                           \
            reword();                                                                 \
        return done;                                                                  \
    }
#define CALL(name, parameters, arguments) FORWARD(int, -1, name, parameters, arguments)

/* Variadic: the mode is there only when a file may be made; reading it else does no harm on the
 * ABIs we know, but the standard forbids it. */
#define OPEN(name, parameters, arguments, at, last)                                      \
    EXPORT int name parameters;                                                       \
    EXPORT int name parameters                                                        \
    {                                                                                 \
        KEPT_TOGETHER static struct real real = {#name, NULL};                        \
        int(*call) parameters, value = -1;                                            \
        mode_t mode = 0;                                                              \
        if (last & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) {                          \
            va_list more;                                                             \
            va_start(more, last);                                                     \
            mode = va_arg(more, mode_t);                                              \
            va_end(more);                                                             \
        }                                                                             \
        bj_silence_look();                                                            \
        bj_opens(at, path, last);                                                     \
        *(void **)&call = find(&real);                                                \
        if (call == NULL)                                                             \
            errno = ENOSYS;                                                           \
        else                                                                          \
            value = call arguments;                                                   \
        if (value < 0)                                                                \
            reword();                                                                 \
        return value;                                                                 \
    }

OPEN(open, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD, flags)
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD, flags)
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode), at, flags)
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode), at, flags)

/* What open becomes in programs built with _FORTIFY_SOURCE. */
#define OPENS(at, flags, ...) FORWARD_AFTER(bj_opens(at, path, flags), int, -1, __VA_ARGS__)
OPENS(AT_FDCWD, flags, __open_2, (const char *path, int flags), (path, flags))
OPENS(AT_FDCWD, flags, __open64_2, (const char *path, int flags), (path, flags))
OPENS(at, flags, __openat_2, (int at, const char *path, int flags), (at, path, flags))
OPENS(at, flags, __openat64_2, (int at, const char *path, int flags), (at, path, flags))

OPENS(AT_FDCWD, O_WRONLY | O_CREAT | O_TRUNC, creat, (const char *path, mode_t mode), (path, mode))
OPENS(AT_FDCWD, O_WRONLY | O_CREAT | O_TRUNC, creat64, (const char *path, mode_t mode), (path, mode))
FORWARD_AFTER(bj_opens(AT_FDCWD, path, bj_opens_flags(mode)), FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
FORWARD_AFTER(bj_opens(AT_FDCWD, path, bj_opens_flags(mode)), FILE *, NULL, fopen64, (const char *path, const char *mode), (path, mode))

CALL(truncate, (const char *path, off_t size), (path, size))
CALL(truncate64, (const char *path, off64_t size), (path, size))
CALL(unlink, (const char *path), (path))
CALL(unlinkat, (int at, const char *path, int flags), (at, path, flags))
CALL(rmdir, (const char *path), (path))
CALL(rename, (const char *from, const char *to), (from, to))
CALL(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
CALL(renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
CALL(link, (const char *from, const char *to), (from, to))
CALL(linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
CALL(symlink, (const char *text, const char *path), (text, path))
CALL(symlinkat, (const char *text, int at, const char *path), (text, at, path))
CALL(mkdir, (const char *path, mode_t mode), (path, mode))
CALL(mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))
CALL(mkfifo, (const char *path, mode_t mode), (path, mode))
CALL(mkfifoat, (int at, const char *path, mode_t mode), (at, path, mode))

CALL(chmod, (const char *path, mode_t mode), (path, mode))
CALL(fchmod, (int fd, mode_t mode), (fd, mode))
CALL(fchmodat, (int at, const char *path, mode_t mode, int flags), (at, path, mode, flags))
CALL(chown, (const char *path, uid_t user, gid_t group), (path, user, group))
CALL(lchown, (const char *path, uid_t user, gid_t group), (path, user, group))
CALL(fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
CALL(fchownat, (int at, const char *path, uid_t user, gid_t group, int flags),
     (at, path, user, group, flags))
CALL(utimes, (const char *path, const struct timeval times[2]), (path, times))
CALL(utimensat, (int at, const char *path, const struct timespec times[2], int flags),
     (at, path, times, flags))
CALL(futimens, (int fd, const struct timespec times[2]), (fd, times))
CALL(setxattr, (const char *path, const char *name, const void *value, size_t size, int flags),
     (path, name, value, size, flags))
CALL(lsetxattr, (const char *path, const char *name, const void *value, size_t size, int flags),
     (path, name, value, size, flags))
CALL(fsetxattr, (int fd, const char *name, const void *value, size_t size, int flags),
     (fd, name, value, size, flags))
CALL(removexattr, (const char *path, const char *name), (path, name))
CALL(lremovexattr, (const char *path, const char *name), (path, name))
CALL(fremovexattr, (int fd, const char *name), (fd, name))
