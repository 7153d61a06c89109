/* The way out: a FIFO, whole frames in each write(2) of at most PIPE_BUF bytes, so frames never
 * mix. A full FIFO blocks the writer: nothing proceeds unrecorded. */
#define _GNU_SOURCE
#include "recorder.h"

#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Bulk events pend only this long after a write (ns): the collector still looks then, without
 * having to be woken. */
enum { SOON = 5000000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* numbers and writes go together */
static char where[4096];
static int channel = -1, strictly;
static uint64_t seq, drops, written; /* when the last write was */
static uint32_t pid;
static __thread uint32_t thread __attribute__((tls_model("initial-exec")));

/* Out of the way of the program's own descriptors, within its limit, and low enough that the
 * kernel's table stays small. */
static int move_high(int fd)
{
    struct rlimit limit;
    long top = 1023;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= 1023)
        top = (long)limit.rlim_cur - 1;
    for (; top > fd; top--) {
        int high = fcntl(fd, F_DUPFD_CLOEXEC, (int)top);
        if (high >= 0) {
            close(fd);
            return high;
        }
    }
    return fd;
}

static int connect_fifo(void)
{
    /* Non-blocking first: with nobody reading that is ENXIO, not a wait for ever. */
    int fd = open(where, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0)
        return -1;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || fcntl(fd, F_SETFL, O_WRONLY) < 0) {
        close(fd);
        return -1;
    }
    return move_high(fd);
}

int bj_channel_open(const char *path, int strict)
{
    size_t len = strlen(path);
    if (len >= sizeof where)
        return -1;
    memcpy(where, path, len + 1);
    strictly = strict;
    pid = (uint32_t)getpid();
    channel = connect_fifo();
    return channel < 0 ? -1 : 0;
}

int bj_channel_is_open(void) { return channel >= 0; }
int bj_channel_is_ours(void) { return pid == (uint32_t)getpid(); }
uint64_t bj_channel_drops(void) { return drops; }

int bj_channel_is_heard(void)
{
    struct pollfd end = {.fd = channel};
    return channel >= 0 && (poll(&end, 1, 0) < 0 || !(end.revents & (POLLERR | POLLNVAL)));
}

void bj_channel_after_fork(void)
{
    pthread_mutex_init(&lock, NULL); /* another thread of the parent may have held it */
    pid = (uint32_t)getpid();
    thread = 0;
    seq = drops = written = 0;
    bj_page_forget();
    bj_answers_forget();
}

static int write_frames(const unsigned char *frame, size_t size)
{
    for (;;) {
        ssize_t n = write(channel, frame, size);
        if (n == (ssize_t)size)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        return -1; /* a FIFO never writes a part: whatever this was, it is not ours */
    }
}

/* The program may have closed our descriptor: come back once, and give up for good if that
 * fails. What could not be written is counted, and its number is missing in the record. */
static int deliver(const unsigned char *frame, size_t size)
{
    if (channel >= 0 && write_frames(frame, size) == 0)
        return 0;
    if (channel >= 0) {
        channel = connect_fifo(); /* the old number is left alone: it may be anyone's by now */
        if (channel >= 0 && write_frames(frame, size) == 0)
            return 0;
        channel = -1;
    }
    drops++;
    if (strictly)
        bj_refuse("the record's channel is gone");
    return -1;
}

/* What pends, and `frame` behind it where both fit one write; two writes where they do not.
 * When the FIFO is gone, what pends stays for whoever reads the page. */
static void write_through(const unsigned char *frame, size_t size)
{
    const unsigned char *pending;
    size_t before = bj_page_pending(&pending);
    unsigned char *at = before > 0 ? bj_page_room(size) : NULL;
    if (at != NULL)
        memcpy(at, frame, size);
    if (before > 0 && deliver(pending, before + (at != NULL ? size : 0)) == 0)
        bj_page_emptied();
    else if (before > 0)
        return;
    if (at == NULL && size > 0)
        deliver(frame, size);
}

static void pass(const unsigned char *frame, size_t size, uint64_t now, int flags)
{
    if (flags & BJ_BULK && now - written < SOON) {
        if (bj_page_room(size) == NULL)
            write_through(frame, 0);
        unsigned char *at = bj_page_room(size);
        if (at != NULL) {
            memcpy(at, frame, size);
            bj_page_keep(size);
            return;
        }
    }
    written = now;
    write_through(frame, size);
}

void bj_channel_flush(void)
{
    if (channel < 0 || !bj_channel_is_ours() || pthread_mutex_trylock(&lock) != 0)
        return;
    int saved = errno;
    write_through(NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
}

uint64_t bj_channel_send(unsigned char *frame, size_t body, int kind, int flags)
{
    int saved = errno;
    struct timespec clock;
    if (thread == 0)
        thread = (uint32_t)syscall(SYS_gettid);
    struct bj_header head = {
        .magic = htole16(BJ_MAGIC), .length = htole16((uint16_t)(BJ_HEADER + body)),
        .kind = (uint8_t)kind, .flags = (uint8_t)flags, .version = htole16(BJ_VERSION),
        .pid = htole32(pid), .thread = htole32(thread),
    };
    pthread_mutex_lock(&lock);
    clock_gettime(CLOCK_REALTIME, &clock);
    uint64_t now = (uint64_t)clock.tv_sec * 1000000000u + (uint64_t)clock.tv_nsec;
    head.time = htole64(now);
    uint64_t number = seq += kind == BJ_EVENT;
    head.seq = htole64(number);
    memcpy(frame, &head, sizeof head);
    pass(frame, BJ_HEADER + body, now, flags);
    if (kind == BJ_BYE) { /* the program behind an exec may want them */
        bj_page_leave();
        bj_answers_leave();
    }
    if (!(flags & BJ_LAST))
        pthread_mutex_unlock(&lock);
    errno = saved;
    return number;
}

/* The program cannot close our descriptor or put another file in its place through the C
 * library, so `os.dup2(devnull, n)` does not silence the record. What a vfork child does to its
 * own table does not concern us. */
#define EXPORT __attribute__((visibility("default")))
int close_range(unsigned, unsigned, int);
void closefrom(int);

static int (*real_close)(int);
static int (*real_dup2)(int, int);
static int (*real_dup3)(int, int, int);

__attribute__((constructor(101))) static void resolve(void)
{
    *(void **)&real_close = dlsym(RTLD_NEXT, "close");
    *(void **)&real_dup2 = dlsym(RTLD_NEXT, "dup2");
    *(void **)&real_dup3 = dlsym(RTLD_NEXT, "dup3");
}

static int guarded(int fd) { return fd >= 0 && fd == channel && bj_channel_is_ours(); }

EXPORT int close(int fd)
{
    if (guarded(fd)) {
        errno = EBADF;
        return -1;
    }
    return real_close != NULL ? real_close(fd) : (int)syscall(SYS_close, fd);
}

/* Someone wants our number: move away, so that nothing is in the way of the program. */
static void give_up_number(int fd)
{
    if (!guarded(fd))
        return;
    pthread_mutex_lock(&lock);
    int other = fcntl(channel, F_DUPFD_CLOEXEC, 3);
    if (other >= 0)
        channel = move_high(other);
    pthread_mutex_unlock(&lock);
}

EXPORT int dup2(int old, int new)
{
    if (old != new)
        give_up_number(new);
    return real_dup2 != NULL ? real_dup2(old, new) : (int)syscall(SYS_dup3, old, new, 0);
}

EXPORT int dup3(int old, int new, int flags)
{
    if (old != new)
        give_up_number(new);
    return real_dup3 != NULL ? real_dup3(old, new, flags) : (int)syscall(SYS_dup3, old, new, flags);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    unsigned ours = (unsigned)channel;
    if (!guarded(channel) || flags != 0 || ours < first || ours > last || first > last)
        return (int)syscall(SYS_close_range, first, last, flags);
    if (ours > first && syscall(SYS_close_range, first, ours - 1, 0) < 0)
        return -1;
    return ours < last ? (int)syscall(SYS_close_range, ours + 1, last, 0) : 0;
}

EXPORT void closefrom(int low)
{
    (void)close_range(low < 0 ? 0 : (unsigned)low, ~0u, 0);
}
