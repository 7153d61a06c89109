/* The way out: a FIFO, one write(2) of at most PIPE_BUF bytes a frame, so frames never mix.
 * A full FIFO blocks the writer: nothing proceeds unrecorded. */
#define _GNU_SOURCE
#include "recorder.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* numbers and writes go together */
static char where[4096];
static int channel = -1, strictly;
static uint64_t seq, drops;
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

void bj_channel_after_fork(void)
{
    pthread_mutex_init(&lock, NULL); /* another thread of the parent may have held it */
    pid = (uint32_t)getpid();
    thread = 0;
    seq = drops = 0;
}

static int write_frame(const unsigned char *frame, size_t size)
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
static void deliver(const unsigned char *frame, size_t size)
{
    if (channel >= 0 && write_frame(frame, size) == 0)
        return;
    if (channel >= 0) {
        channel = connect_fifo();
        if (channel >= 0 && write_frame(frame, size) == 0)
            return;
        channel = -1;
    }
    drops++;
    if (strictly)
        bj_refuse("the record's channel is gone");
}

void bj_channel_send(unsigned char *frame, size_t body, int kind, int flags)
{
    int saved = errno;
    struct timespec now;
    if (thread == 0)
        thread = (uint32_t)syscall(SYS_gettid);
    struct bj_header head = {
        .magic = htole16(BJ_MAGIC), .length = htole16((uint16_t)(BJ_HEADER + body)),
        .kind = (uint8_t)kind, .flags = (uint8_t)flags, .version = htole16(BJ_VERSION),
        .pid = htole32(pid), .thread = htole32(thread),
    };
    pthread_mutex_lock(&lock);
    clock_gettime(CLOCK_REALTIME, &now);
    head.time = htole64((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
    seq += kind == BJ_EVENT;
    head.seq = htole64(seq);
    memcpy(frame, &head, sizeof head);
    deliver(frame, BJ_HEADER + body);
    if (!(flags & BJ_LAST))
        pthread_mutex_unlock(&lock);
    errno = saved;
}
