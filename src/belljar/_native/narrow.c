/* The guest gives up some of what it was granted, for good: a Landlock layer, a filter, lower limits.
 *
 * Here, because Python code of a guest can make no system call without ctypes. It is told in words,
 * each ended by NUL, and believes none of them: whatever they say, the kernel only takes away. First
 * comes all that can fail and changes nothing; what fails after the layer stands ends the process,
 * since half of it looks like the whole. Nothing is allocated. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "narrow.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "filter.h"
#include "pieces.h"
#include "pyapi.h"
#include "recorder.h"
#include "stack.h"
#include "window.h"

enum { FILES_ALONE = 0x1 | 0x2 | 0x4 | 1 << 14 | 1 << 15, LIMITS = 8, TSYNC = 1 << 3, ALL_THREADS_ABI = 8 };

/* What it is told to do; texts point into the words. */
struct order {
    const char *words, *end;
    struct limit limits[LIMITS];
    size_t n_limits;
    bool pieces[PIECES], keeps;
    struct keeps net;
};

static const char *what; /* that failed, for a person */

/* landlock.c and filter.h end so what a keeper begins. */
_Noreturn void fail(const char *step, int error, const char *detail)
{
    (void)error, (void)detail;
    bj_refuse(step);
}

_Noreturn static void half_way(void) { bj_refuse("a sandbox could not be narrowed wholly: it ends"); }

static const char *next(const struct order *o, const char *word)
{
    const char *after = word + strlen(word) + 1;
    return after < o->end ? after : NULL;
}

static bool read_bits(struct keeps *k, const char *hex)
{
    enum { NET = KEEPS_ADDRESSES + KEEPS_LOCALS + KEEPS_BINDS, SIZE = NET + KEEPS_PLACES + KEEPS_APPENDS };
    unsigned char bits[SIZE];
    if (strlen(hex) != 2 * SIZE)
        return false;
    for (size_t i = 0; i < SIZE; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        bits[i] = (unsigned char)byte;
    }
    k->family = AF_UNSPEC;
    memcpy(k->mark, BELLJAR_KEEPS, sizeof k->mark);
    memcpy(k->addresses, bits, KEEPS_ADDRESSES);
    memcpy(k->locals, bits + KEEPS_ADDRESSES, KEEPS_LOCALS);
    memcpy(k->binds, bits + KEEPS_ADDRESSES + KEEPS_LOCALS, KEEPS_BINDS);
    memcpy(k->places, bits + NET, KEEPS_PLACES);
    memcpy(k->appends, bits + NET + KEEPS_PLACES, KEEPS_APPENDS);
    return true;
}

static bool lower(struct order *o, const char *name, const char *number)
{
    static const struct { const char *name; int resource; } KNOWN[] = {
        {"data", RLIMIT_DATA}, {"as", RLIMIT_AS}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"cpu", RLIMIT_CPU},
    };
    char *end;
    uint64_t value = strtoull(number, &end, 10);
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (!strcmp(name, KNOWN[i].name) && *number && !*end && o->n_limits < LIMITS) {
            o->limits[o->n_limits++] = (struct limit){KNOWN[i].resource, value, value};
            return true;
        }
    return false;
}

static bool refuse(struct order *o, const char *which)
{
    static const char *const NAMES[PIECES] = {"sockets", "forks", "exec", "metadata", "watching"};
    for (size_t i = 0; i < PIECES; i++)
        if (!strcmp(which, NAMES[i]))
            return o->pieces[i] = true;
    return false;
}

/* All words but those about files, which are looked at when there is a ruleset. */
static bool understand(struct order *o)
{
    for (const char *word = o->words, *a, *b; word; word = next(o, a)) {
        if (!(a = next(o, word)))
            return false;
        if (!strcmp(word, "refuse") && refuse(o, a))
            continue;
        if (!strcmp(word, "keeps") && (o->keeps = read_bits(&o->net, a)))
            continue;
        if (!(b = next(o, a)) || (strcmp(word, "land") && strcmp(word, "soft") && (strcmp(word, "limit") || !lower(o, a, b))))
            return false;
        a = b;
    }
    return true;
}

static int add_file(int ruleset, int abi, const char *path, const char *letters, bool may_be_missing)
{
    struct { uint64_t rights; int32_t fd; } __attribute__((packed)) rule;
    struct stat st;
    bool known = true;
    rule.rights = landlock_rights(letters, &known) & landlock_handled(abi);
    rule.fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC); /* not told (opens.c) */
    if (rule.fd < 0)
        return may_be_missing && (errno == ENOENT || errno == ENOTDIR) ? 0 : -1;
    int bad = known ? fstat(rule.fd, &st) : -1;
    if (!bad && !S_ISDIR(st.st_mode))
        rule.rights &= FILES_ALONE;
    if (!bad && rule.rights)
        bad = (int)syscall(445 /* landlock_add_rule */, ruleset, 1, &rule, 0);
    int error = known ? errno : EINVAL;
    close(rule.fd);
    errno = error;
    return bad;
}

static int make_layer(const struct order *o, int abi)
{
    uint64_t handled = landlock_handled(abi);
    what = "landlock";
    int ruleset = abi < 1 ? -1 : (int)syscall(444 /* landlock_create_ruleset */, &handled, sizeof handled, 0);
    if (ruleset < 0)
        return -1;
    /* Whatever the words say, what is started later is recorded. (Without its other libraries a
     * program does not start at all.) */
    const char *needed;
    for (size_t i = 0; (needed = bj_exec_env_file(i)) != NULL; i++)
        if (*needed && add_file(ruleset, abi, needed, "rxw", true) < 0) {
            int error = errno;
            what = needed;
            close(ruleset);
            errno = error;
            return -1;
        }
    for (const char *word = o->words, *a; word; word = next(o, a)) {
        bool file = !strcmp(word, "land") || word[0] == 's';
        a = next(o, word);
        if (word[0] == 'r' || word[0] == 'k')
            continue;
        const char *b = next(o, a);
        if (file && add_file(ruleset, abi, a, b, word[0] == 's') < 0) {
            int error = errno;
            what = a;
            close(ruleset);
            errno = error;
            return -1;
        }
        a = b;
    }
    return ruleset;
}

/* Whether a limit leaves what is in use; it stands as before afterwards. */
static bool leaves_enough(const struct limit *l)
{
    struct rlimit have, low;
    struct rusage used;
    if (getrlimit((__rlimit_resource_t)l->resource, &have) < 0)
        return false;
    low = (struct rlimit){l->soft < have.rlim_cur ? l->soft : have.rlim_cur, have.rlim_max};
    if (l->resource == RLIMIT_CPU)
        return getrusage(RUSAGE_SELF, &used) == 0 && (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) < l->soft;
    if (l->resource == RLIMIT_NOFILE) {
        for (rlim_t fd = low.rlim_cur; fd < have.rlim_cur; fd++)
            if ((int)fd != bj_channel_fd() && fcntl((int)fd, F_GETFD) >= 0)
                return false;
        return true;
    }
    if (l->resource == RLIMIT_NPROC)
        return true;
    if (setrlimit((__rlimit_resource_t)l->resource, &low) < 0)
        return false;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED)
        munmap(page, 4096);
    setrlimit((__rlimit_resource_t)l->resource, &have);
    return page != MAP_FAILED;
}

static void set_limit(const struct limit *l)
{
    struct rlimit have, want = {l->soft, l->hard};
    if (getrlimit((__rlimit_resource_t)l->resource, &have) < 0)
        half_way();
    if (l->resource == RLIMIT_CPU)
        want.rlim_max++; /* the first ends it by SIGXCPU, the second whatever it does */
    if (have.rlim_max < want.rlim_max)
        want.rlim_max = have.rlim_max;
    if (have.rlim_cur < want.rlim_cur)
        want.rlim_cur = have.rlim_cur;
    if (setrlimit((__rlimit_resource_t)l->resource, &want) < 0)
        half_way();
}

static uint64_t nanoseconds(clockid_t clock)
{
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* In a container whose filter does not let it ask: all the time that the process has used is this
 * thread's. It was then never more than this one, but for what has not run yet: that is let run. */
static bool was_always_alone(void)
{
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    uint64_t before = nanoseconds(CLOCK_THREAD_CPUTIME_ID), all = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    return before <= all && all <= nanoseconds(CLOCK_THREAD_CPUTIME_ID);
}

/* Threads keep what they had unless the kernel can reach them all; processes always do. 0, or errno. */
static int others(int abi)
{
    siginfo_t child = {0};
    what = "children";
    if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0)
        return EBUSY;
    what = "threads";
    if (abi >= ALL_THREADS_ABI || unshare(CLONE_THREAD) == 0)
        return 0;
    return errno == EPERM && was_always_alone() ? 0 : EBUSY;
}

/* 0, or the error for which nothing has changed. */
static int narrow(struct order *o)
{
    what = "words";
    if (!understand(o))
        return EINVAL;
    int abi = landlock_abi_version(), error = others(abi);
    if (error)
        return error;
    for (size_t i = 0; i < o->n_limits; i++)
        if (!leaves_enough(&o->limits[i])) {
            what = "limit";
            return ENOMEM;
        }
    int ruleset = make_layer(o, abi);
    if (ruleset < 0)
        return abi < 1 ? ENOSYS : errno;
    bool all = abi >= ALL_THREADS_ABI;
    if (syscall(446 /* landlock_restrict_self */, ruleset, all ? TSYNC : 0) < 0) {
        what = errno == E2BIG ? "layers" : "landlock";
        error = errno;
        close(ruleset);
        return error;
    }
    close(ruleset);
    if (o->keeps && connect(-1, (const void *)&o->net, sizeof o->net) < 0)
        half_way();
    for (int i = 0; i < PIECES; i++)
        if (o->pieces[i] && !pieces_put(i))
            half_way();
    for (size_t i = 0; i < o->n_limits; i++)
        set_limit(&o->limits[i]);
    return 0;
}

static void *refused(int error)
{
    char text[512];
    snprintf(text, sizeof text, "%.400s", what);
    PyObject *made = PyObject_CallFunction(PyExc_OSError, "is", error, text);
    if (made != NULL) {
        PyObject *type = PyObject_Type(made);
        PyErr_SetObject(type, made);
        Py_DecRef(type);
        Py_DecRef(made);
    }
    return NULL;
}

PyObject *bj_narrow(PyObject *args)
{
    char *words = NULL;
    Py_ssize_t size = 0;
    if (!bj_window_is_open() || bj_window_is_own() || !bj_channel_is_ours() || !bj_has_thread_state())
        return Py_None;
    what = "words";
    if (args == NULL || !bj_exactly(args, &PyTuple_Type) || PyTuple_Size(args) != 2)
        return refused(EINVAL);
    PyObject *told = PyTuple_GetItem(args, 1);
    if (!bj_exactly(PyTuple_GetItem(args, 0), &PyBytes_Type) || !bj_exactly(told, &PyTuple_Type) ||
        PyTuple_Size(told) != 2 || !bj_exactly(PyTuple_GetItem(told, 0), &PyUnicode_Type) ||
        !bj_exactly(PyTuple_GetItem(told, 1), &PyUnicode_Type) ||
        PyBytes_AsStringAndSize(PyTuple_GetItem(args, 0), &words, &size) < 0 || size == 0 || words[size - 1] != 0)
        return refused(EINVAL);
    struct order order = {.words = words, .end = words + size};
    int error = narrow(&order);
    return error ? refused(error) : told;
}
