/* The way out: a FIFO, whole frames in each write(2) of at most PIPE_BUF bytes, so frames never
 * mix. A full FIFO blocks the writer and a collector that died ends it: nothing proceeds unrecorded
 * until the collector ends the record. Settings may ask for the end in both cases, or for losses,
 * which are counted and told. */
#define _GNU_SOURCE
#include "recorder.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "copies.h"
#include "settings.h"

/* Bulk events pend only this long after a write (ns): the collector still looks then, without
 * having to be woken. */
enum { SOON = 5000000 };
/* The body of a loss; how long to wait (ms) for room where a loss would hurt more than a pause. */
enum { LOSS = 10, MOMENT = 100, MOST_BESIDE = 1 << 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* numbers and writes go together */
static char where[4096];
static int channel = -1, mode, stays; /* stays: the record has no end but ours */
static uint64_t seq, written; /* the last number; when the last write was */
static uint64_t drops, lost;  /* events lost since the start, and since the last loss was told */
static int took_leave;        /* the farewell is out, and nothing was said since */
static uint32_t pid;
static __thread uint32_t thread __attribute__((tls_model("initial-exec")));
static __thread int inside __attribute__((tls_model("initial-exec")));

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
    int waits = mode == BJ_BLOCK ? 0 : O_NONBLOCK;
    if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || fcntl(fd, F_SETFL, O_WRONLY | waits) < 0) {
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
    mode = strict && bj_settings.overflow == BJ_DROP ? BJ_BLOCK : bj_settings.overflow;
    stays = strict;
    pid = (uint32_t)getpid();
    bj_copies_note();
    channel = connect_fifo();
    if (channel < 0 && errno == ENXIO && mode != BJ_DROP)
        bj_refuse("the record's channel is gone"); /* it stands there, and nobody reads it */
    const char *answers = getenv("BELLJAR_ANSWERS");
    if (channel >= 0 && answers != NULL)
        (void)bj_answers_open(answers); /* without it every event that asks is refused */
    return channel < 0 ? -1 : 0;
}

int bj_channel_can_send(void)
{
    struct stat st;
    if (channel < 0 || inside)
        return 0;
    bj_copies_adopt();
    return bj_channel_is_ours() ||
           (bj_copies_are_known() && syscall(SYS_fstat, channel, &st) == 0 && S_ISFIFO(st.st_mode));
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
    bj_copies_note();
    seq = drops = lost = written = 0;
    took_leave = 0;
    bj_page_forget();
    bj_answers_forget();
}

/* A broken pipe is an answer here, not a signal: the program may have set SIGPIPE to its default. */
static ssize_t write_quietly(const unsigned char *frame, size_t size)
{
    sigset_t broken, before;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, &before);
    ssize_t n = write(channel, frame, size);
    int why = errno;
    if (n < 0 && why == EPIPE && !sigismember(&before, SIGPIPE))
        (void)sigtimedwait(&broken, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return n;
}

/* 0, or -1: the channel is full (drop and exit never wait) or is not ours any more. */
static int write_frames(const unsigned char *frame, size_t size)
{
    for (;;) {
        ssize_t n = mode == BJ_BLOCK ? write(channel, frame, size) : write_quietly(frame, size);
        if (n == (ssize_t)size)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        return -1; /* a FIFO never writes a part: whatever this was, it is not ours */
    }
}

/* A collector that ends the record takes all permissions from the FIFO and then its name, which
 * nobody does for one that was killed. */
static int record_is_over(void)
{
    struct stat st;
    /* not fstat(): for the program, and so in a large-file build, our descriptor does not exist */
    return !stays && errno == EPIPE && syscall(SYS_fstat, channel, &st) == 0 && S_ISFIFO(st.st_mode) &&
           st.st_nlink == 0 && (st.st_mode & 07777) == 0;
}

/* The program may have closed our descriptor, or made it non-blocking: come back once, and give up
 * for good if that fails. */
static int deliver(const unsigned char *frame, size_t size)
{
    if (channel >= 0 && write_frames(frame, size) == 0)
        return 0;
    if (channel >= 0 && record_is_over()) {
        channel = -1;
        return -1;
    }
    if (channel >= 0 && (errno != EAGAIN || mode == BJ_BLOCK)) {
        channel = connect_fifo(); /* the old number is left alone: it may be anyone's by now */
        if (channel >= 0 && write_frames(frame, size) == 0)
            return 0;
    }
    int full = channel >= 0 && errno == EAGAIN;
    if (mode != BJ_DROP)
        bj_refuse(full ? "the record's channel is full" : "the record's channel is gone");
    if (!full)
        channel = -1;
    return -1;
}

/* What pends, and `frame` behind it where both fit one write; two writes where they do not.
 * What pends and cannot be written stays for later, or for whoever reads the page. */
static int write_through(const unsigned char *frame, size_t size)
{
    const unsigned char *pending;
    size_t before = bj_page_pending(&pending);
    unsigned char *at = before > 0 ? bj_page_room(size) : NULL;
    if (at != NULL)
        memcpy(at, frame, size);
    if (before > 0) {
        if (deliver(pending, before + (at != NULL ? size : 0)) < 0)
            return -1;
        bj_page_emptied();
    }
    return at == NULL && size > 0 ? deliver(frame, size) : 0;
}

static int pass(const unsigned char *frame, size_t size, uint64_t now, int flags)
{
    if (flags & BJ_BULK && now - written < SOON) {
        if (bj_page_room(size) == NULL && write_through(frame, 0) < 0)
            return -1;
        unsigned char *at = bj_page_room(size);
        if (at != NULL) {
            memcpy(at, frame, size);
            bj_page_keep(size);
            return 0;
        }
    }
    written = now;
    return write_through(frame, size);
}

static void put_header(unsigned char *frame, size_t body, int kind, int flags, uint64_t number,
                       uint64_t time)
{
    struct bj_header head = {
        .magic = htole16(BJ_MAGIC), .length = htole16((uint16_t)(BJ_HEADER + body)),
        .kind = (uint8_t)kind, .flags = (uint8_t)flags, .version = htole16(BJ_VERSION),
        .pid = htole32(pid), .thread = htole32(thread),
        .seq = htole64(number), .time = htole64(time),
    };
    memcpy(frame, &head, sizeof head);
}

/* With a FIFO that stays full until the end: the farewell, and the loss before it, go where there is
 * always room. */
static int tell_beside(const unsigned char *data, size_t size)
{
    static const char name[] = "farewells";
    char path[sizeof where + sizeof name];
    const char *last = strrchr(where, '/');
    size_t head = last == NULL ? 0 : (size_t)(last - where) + 1;
    memcpy(path, where, head);
    memcpy(path + head, name, sizeof name);
    struct stat st;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -1;
    int done = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < MOST_BESIDE &&
               write(fd, data, size) == (ssize_t)size;
    close(fd);
    return done ? 0 : -1;
}

/* What was lost is told before the next frame that gets through, in the same write where it fits:
 * `last` is the last lost number. */
static int pass_with_loss(const unsigned char *frame, size_t size, uint64_t last, uint64_t now,
                          int flags)
{
    unsigned char both[PIPE_BUF];
    size_t head = BJ_HEADER + LOSS;
    put_header(both, LOSS, BJ_LOSS, 0, last, now);
    uint64_t count = htobe64(lost);
    both[BJ_HEADER] = 0x91, both[BJ_HEADER + 1] = 0xCF; /* an array of one u64 */
    memcpy(both + BJ_HEADER + 2, &count, sizeof count);
    size_t with = head + size <= sizeof both ? size : 0;
    memcpy(both + head, frame, with);
    if (pass(both, head + with, now, flags) < 0 &&
        (frame[4] != BJ_BYE || tell_beside(both, head + with) < 0))
        return -1;
    lost = 0;
    return with > 0 ? 0 : pass(frame, size, now, flags);
}

/* A greeting or farewell that is lost spoils a whole record: a full channel is given a moment. */
static void wait_for_room(void)
{
    struct pollfd end = {.fd = channel, .events = POLLOUT};
    if (channel >= 0)
        (void)poll(&end, 1, MOMENT);
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
    int saved = errno, failed;
    struct timespec clock;
    bj_copies_adopt();
    inside = 1;
    if (thread == 0)
        thread = (uint32_t)syscall(SYS_gettid);
    pthread_mutex_lock(&lock);
    clock_gettime(CLOCK_REALTIME, &clock);
    uint64_t now = (uint64_t)clock.tv_sec * 1000000000u + (uint64_t)clock.tv_nsec;
    uint64_t before = seq, number = seq += kind == BJ_EVENT;
    put_header(frame, body, kind, flags, number, now);
    if (mode == BJ_DROP && kind != BJ_EVENT && !took_leave)
        wait_for_room();
    if (kind == BJ_BYE && took_leave)
        failed = 0; /* once is enough */
    else if (lost == 0)
        failed = pass(frame, BJ_HEADER + body, now, flags);
    else
        failed = pass_with_loss(frame, BJ_HEADER + body, before, now, flags);
    if (failed && kind == BJ_BYE && mode == BJ_DROP && lost == 0)
        failed = tell_beside(frame, BJ_HEADER + body);
    took_leave = kind == BJ_BYE && !failed;
    if (failed && kind == BJ_EVENT) {
        lost++;
        drops++;
        number = 0;
    }
    if (kind == BJ_BYE) { /* the program behind an exec may want them */
        bj_page_leave();
        bj_answers_leave();
    }
    if (!(flags & BJ_LAST))
        pthread_mutex_unlock(&lock);
    inside = 0;
    errno = saved;
    return number;
}

int bj_channel_fd(void) { return channel; }

void bj_channel_use(int fd, int page)
{
    pthread_mutex_lock(&lock);
    inside = 1;
    (void)write_through(NULL, 0);
    int before = channel;
    where[0] = 0; /* others know that path */
    channel = move_high(fd);
    if (before >= 0)
        syscall(SYS_close, before);
    bj_page_use(page);
    inside = 0;
    pthread_mutex_unlock(&lock);
}

int bj_channel_move(void)
{
    pthread_mutex_lock(&lock);
    int other = fcntl(channel, F_DUPFD_CLOEXEC, 3);
    if (other >= 0)
        channel = move_high(other);
    pthread_mutex_unlock(&lock);
    return other >= 0;
}
