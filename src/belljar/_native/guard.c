/* The program cannot close our descriptor or put another file in its place through the C
 * library, so `os.dup2(devnull, n)` does not silence the record. A vfork child does not close it
 * either, who may have to tell what it executes. */
#define _GNU_SOURCE
#include "recorder.h"
#include "silence.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
int close_range(unsigned, unsigned, int);
void closefrom(int);

static int (*real_close)(int);
static int (*real_dup2)(int, int);
static int (*real_dup3)(int, int, int);
static int (*real_fstat64)(int, struct stat64 *);

__attribute__((constructor(101))) static void resolve(void)
{
    *(void **)&real_close = dlsym(RTLD_NEXT, "close");
    *(void **)&real_dup2 = dlsym(RTLD_NEXT, "dup2");
    *(void **)&real_dup3 = dlsym(RTLD_NEXT, "dup3");
    *(void **)&real_fstat64 = dlsym(RTLD_NEXT, "fstat64"); /* glibc 2.33 and later */
}

static int guarded(int fd) { return fd >= 0 && fd == bj_channel_fd() && bj_channel_is_ours(); }

/* Ours makes way for the program's own; with none free it stays, as if the limit were lower. */
static int taken(void)
{
    errno = EBADF;
    return -1;
}

EXPORT int close(int fd)
{
    bj_silence_look();
    if (fd >= 0 && fd == bj_channel_fd()) {
        errno = EBADF;
        return -1;
    }
    return real_close != NULL ? real_close(fd) : (int)syscall(SYS_close, fd);
}

EXPORT int dup2(int old, int new)
{
    bj_silence_look();
    if (old != new && guarded(new) && !bj_channel_move())
        return taken();
    return real_dup2 != NULL ? real_dup2(old, new) : (int)syscall(SYS_dup3, old, new, 0);
}

EXPORT int dup3(int old, int new, int flags)
{
    if (old != new && guarded(new) && !bj_channel_move())
        return taken();
    return real_dup3 != NULL ? real_dup3(old, new, flags) : (int)syscall(SYS_dup3, old, new, flags);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    unsigned ours = (unsigned)bj_channel_fd();
    if (bj_channel_fd() < 0 || flags != 0 || ours < first || ours > last || first > last)
        return (int)syscall(SYS_close_range, first, last, flags);
    if (ours > first && syscall(SYS_close_range, first, ours - 1, 0) < 0)
        return -1;
    return ours < last ? (int)syscall(SYS_close_range, ours + 1, last, 0) : 0;
}

EXPORT void closefrom(int low)
{
    (void)close_range(low < 0 ? 0 : (unsigned)low, ~0u, 0);
}

/* Programs look which descriptors they have been given: ours is none of their business. */
EXPORT int fstat64(int fd, struct stat64 *out)
{
    if (guarded(fd)) {
        errno = EBADF;
        return -1;
    }
    if (real_fstat64 != NULL)
        return real_fstat64(fd, out);
    return (int)syscall(SYS_fstat, fd, out);
}
