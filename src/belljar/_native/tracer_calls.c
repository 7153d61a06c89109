/* How a call is told: one frame (kind 5) for each. What is
 * read from a process here is a view: another thread may change it before the kernel reads it. */
#define _GNU_SOURCE
#include "tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "msgpack.h"
#include "recorder.h"

/* Longest piece of text: two paths and two directories fit a frame. */
enum { TEXT = 960, MOST_ADDRESS = 128 };

/* Who asks. /proc is slow, so what it says is kept a moment: too short for a number to be used
 * again. */
struct who { int tid, pid, seen_tid, seen_pid, ppid; uint64_t start, until; };

static uint64_t now_ns(clockid_t which)
{
    struct timespec clock;
    clock_gettime(which, &clock);
    return (uint64_t)clock.tv_sec * 1000000000u + (uint64_t)clock.tv_nsec;
}

static size_t slurp(char *buf, size_t cap, int pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, buf, cap - 1);
    if (fd >= 0)
        close(fd);
    buf[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static int field(const char *text, const char *name, int last)
{
    const char *at = strstr(text, name);
    if (at == NULL)
        return 0;
    at += strlen(name);
    int value = 0;
    for (char *end; *at != '\n' && *at != 0; at = end) {
        long found = strtol(at, &end, 10);
        if (end == at)
            break;
        value = (int)found;
        if (!last)
            break;
    }
    return value;
}

static const struct who *who(int tid)
{
    static struct who known[512];
    struct who *w = &known[(unsigned)tid % 512];
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (w->tid == tid && now < w->until)
        return w;
    char text[4096];
    *w = (struct who){.tid = tid, .pid = tid, .seen_tid = tid, .seen_pid = tid, .until = now + 20000000};
    if (slurp(text, sizeof text, tid, "status")) {
        w->pid = field(text, "\nTgid:", 0);
        w->ppid = field(text, "\nPPid:", 0);
        w->seen_pid = field(text, "\nNStgid:", 1); /* as it sees itself: that is how its events name it */
        w->seen_tid = field(text, "\nNSpid:", 1);
    }
    if (slurp(text, sizeof text, w->pid, "stat")) {
        char *at = strrchr(text, ')');
        for (int skip = 2; at != NULL && skip < 22; skip++)
            at = strchr(at + 1, ' ');
        w->start = at == NULL ? 0 : strtoull(at, NULL, 10);
    }
    return w;
}

static ssize_t peek(int tid, uint64_t from, void *to, size_t size)
{
    struct iovec here = {to, size}, there = {(void *)(uintptr_t)from, size};
    return process_vm_readv(tid, &here, 1, &there, 1, 0);
}

/* The text at `from`, page by page: the next one may not be there. -1: it cannot be read. */
static ssize_t peek_text(int tid, uint64_t from, char *to, int *cut)
{
    size_t have = 0;
    while (have < TEXT) {
        size_t step = 4096 - (size_t)((from + have) & 4095);
        step = step < TEXT - have ? step : TEXT - have;
        step = have == 0 && step > 256 ? 256 : step;
        ssize_t n = peek(tid, from + have, to + have, step);
        if (n <= 0)
            return -1;
        char *end = memchr(to + have, 0, (size_t)n);
        if (end != NULL)
            return end - to;
        have += (size_t)n;
    }
    *cut = 1;
    return TEXT;
}

static void put_link(struct bj_buf *out, int tid, int fd)
{
    char name[64], to[TEXT];
    if (fd == AT_FDCWD)
        snprintf(name, sizeof name, "/proc/%d/cwd", tid);
    else
        snprintf(name, sizeof name, "/proc/%d/fd/%d", tid, fd);
    ssize_t n = readlink(name, to, sizeof to);
    if (n < 0)
        bj_put_nil(out);
    else
        bj_put_bin(out, to, (size_t)n);
}

/* A path, and where it begins if it is relative. */
static void put_path(struct bj_buf *out, int tid, uint64_t at, int base, int *cut)
{
    char text[TEXT];
    ssize_t n = at == 0 ? -1 : peek_text(tid, at, text, cut);
    if (n < 0)
        bj_put_nil(out);
    else
        bj_put_bin(out, text, (size_t)n);
    if (n > 0 && text[0] == '/')
        bj_put_nil(out);
    else
        put_link(out, tid, base);
}

static void put_address(struct bj_buf *out, int tid, uint64_t at, uint64_t size)
{
    char raw[MOST_ADDRESS];
    size = size < sizeof raw ? size : sizeof raw;
    ssize_t n = peek(tid, at, raw, size);
    sa_family_t family = AF_UNSPEC;
    if (n < 0)
        bj_put_nil(out);
    else
        bj_put_bin(out, raw, (size_t)n);
    if (n >= (ssize_t)sizeof family)
        memcpy(&family, raw, sizeof family);
    if (family == AF_UNIX && n > 2 && raw[2] != 0 && raw[2] != '/')
        put_link(out, tid, AT_FDCWD);
    else
        bj_put_nil(out);
}

/* 0: the message has no address, and there is nothing to tell. */
static int put_message(struct bj_buf *out, int tid, uint64_t at)
{
    struct msghdr message; /* of several messages, the first */
    if (peek(tid, at, &message, sizeof message) != (ssize_t)sizeof message) {
        bj_put_nil(out);
        bj_put_nil(out);
        return 1;
    }
    if (message.msg_name == NULL || message.msg_namelen == 0)
        return 0;
    put_address(out, tid, (uint64_t)(uintptr_t)message.msg_name, message.msg_namelen);
    return 1;
}

static uint64_t sequence;

static size_t finish(struct bj_buf *out, const struct who *w, int cut)
{
    struct bj_header head = {
        .magic = htole16(BJ_MAGIC), .length = htole16((uint16_t)out->len), .kind = BJ_SYSCALL,
        .flags = cut ? BJ_TRUNCATED : 0, .version = htole16(BJ_VERSION),
        .pid = htole32((uint32_t)w->seen_pid), .thread = htole32((uint32_t)w->seen_tid),
        .seq = htole64(++sequence), .time = htole64(now_ns(CLOCK_REALTIME)),
    };
    memcpy(out->data, &head, sizeof head);
    return out->len;
}

static void begin(struct bj_buf *out, const char *name, const struct who *w, uint64_t number, int parts)
{
    bj_put_array(out, 4 + (size_t)parts);
    bj_put_str(out, name, strlen(name));
    bj_put_uint(out, w->start);
    bj_put_uint(out, (uint64_t)(w->ppid > 0 ? w->ppid : 0));
    bj_put_uint(out, number);
}

size_t tracer_remark(const char *what, uint64_t number, const char *name, unsigned char *frame)
{
    struct who us = {.pid = getpid(), .seen_pid = getpid(), .seen_tid = getpid()};
    struct bj_buf out = {.data = frame, .len = BJ_HEADER, .cap = BJ_FRAME};
    begin(&out, what, &us, number, 1);
    bj_put_bin(&out, name, strnlen(name, TEXT));
    return finish(&out, &us, 0);
}

/* Datagrams and streams look alike in an address. 0: it cannot be told. */
static uint64_t socket_type(int pid, int fd)
{
    int process = (int)syscall(SYS_pidfd_open, pid, 0), type = 0;
    socklen_t size = sizeof type;
    int ours = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    if (ours >= 0) {
        (void)getsockopt(ours, SOL_SOCKET, SO_TYPE, &type, &size);
        close(ours);
    }
    if (process >= 0)
        close(process);
    return (uint64_t)type;
}

size_t tracer_describe(const struct seccomp_notif *ask, unsigned char *frame)
{
    const struct tracer_call *call = tracer_lookup(&ask->data);
    const struct who *w = who((int)ask->pid);
    struct bj_buf out = {.data = frame, .len = BJ_HEADER, .cap = BJ_FRAME};
    if (call == NULL) {
        begin(&out, tracer_is_native(&ask->data) ? "x32" : "32-bit", w, (uint32_t)ask->data.nr, 0);
        return finish(&out, w, 0);
    }
    uint64_t number = 0;
    int parts = 0, cut = 0, base = AT_FDCWD, tid = (int)ask->pid;
    for (const char *a = call->args; *a; a++) {
        uint64_t value = ask->data.args[a - call->args];
        if (*a == 'f')
            number = value;
        if (*a == 't')
            number = socket_type(w->pid, (int)value);
        if (*a == 'o' && peek(tid, value, &number, sizeof number) < 0)
            number = 0;
        parts += strchr("wpsh", *a) != NULL ? 2 : strchr("nm", *a) != NULL;
    }
    begin(&out, call->name, w, number, parts);
    for (const char *a = call->args; *a; a++) {
        uint64_t value = ask->data.args[a - call->args];
        char text[TEXT];
        ssize_t n;
        switch (*a) {
        case 'd':
            base = (int)value;
            break;
        case 'w':
            put_path(&out, tid, value, AT_FDCWD, &cut);
            break;
        case 'p':
            put_path(&out, tid, value, base, &cut);
            break;
        case 'n':
            n = peek_text(tid, value, text, &cut);
            (void)(n < 0 ? bj_put_nil(&out) : bj_put_bin(&out, text, (size_t)n));
            break;
        case 'm':
            if (call->nr == __NR_mmap && ask->data.args[3] & MAP_ANONYMOUS)
                bj_put_nil(&out);
            else
                put_link(&out, tid, (int)value);
            break;
        case 's':
            put_address(&out, tid, value, ask->data.args[a - call->args + 1]);
            break;
        case 'h':
            if (!put_message(&out, tid, value))
                return 0;
            break;
        default:
            break;
        }
    }
    return finish(&out, w, cut);
}
