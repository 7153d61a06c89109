/* A branch: a copy of this process that init adopts, so that it lives on when this one ends.
 *
 * A process in between, which shares this one's memory (vfork), makes the copy and ends: the page
 * tables are copied once, and no child is left for this process to wait for. The copy itself is of
 * the C library's making: it knows its own thread, and its handlers for forks have run. */
#define _GNU_SOURCE
#include "branch.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handover.h"
#include "recorder.h"

enum { CREATE_RULESET = 444, RESTRICT_SELF = 446, HUGE = 4 << 20 };

void PyOS_BeforeFork(void) BJ_WEAK;
void PyOS_AfterFork_Parent(void) BJ_WEAK;
void PyOS_AfterFork_Child(void) BJ_WEAK;

static int granted, quiet;
static struct bj_handed handed = {{-1, -1, -1}}; /* what the next branch speaks through */
static volatile int error; /* written by the process in between */

void bj_branch_begin(void) { granted = getenv("BELLJAR_BRANCHES") != NULL; }
int bj_branch_is_quiet(void) { return quiet; }
int bj_branch_asked(const char *name) { return granted && strncmp(name, "belljar.branch", 14) == 0; }

static int refuse(int number, const char *text)
{
    PyObject *made = PyObject_CallFunction(PyExc_OSError, "is", number, text);
    if (made == NULL)
        return -1;
    PyObject *type = PyObject_Type(made);
    PyErr_SetObject(type, made);
    Py_DecRef(type);
    Py_DecRef(made);
    return -1;
}

/* The filter lets copies through that the host asks for; a program's own are refused as ever. A
 * window: the host ends those of whoever steps around it. */
int bj_branch_forbids(const char *name)
{
    if (!granted || (strcmp(name, "os.fork") != 0 && strcmp(name, "os.forkpty") != 0))
        return 0;
    return refuse(EPERM, "Operation not permitted");
}

/* Changes nothing where there is one thread, and fails where there are more (unshare(2)). */
static int alone(void) { return syscall(SYS_unshare, CLONE_THREAD) == 0; }

/* Handlers for forks end the helper threads of numerical libraries: a copy that ends at once makes
 * them run. */
static void end_helpers(void)
{
    quiet = 1;
    pid_t child = fork();
    if (child == 0)
        for (;;)
            syscall(SYS_exit_group, 0);
    quiet = 0;
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* 1: in the branch; 0: here; -1: none was made. A frame of its own: the process in between runs on
 * this one's stack, and must not return. */
__attribute__((noinline)) static int split(void)
{
    error = 0;
    pid_t between = vfork();
    if (between == 0) {
        pid_t made = fork();
        if (made == 0)
            return 1;
        error = made < 0 ? errno : 0;
        for (;;)
            syscall(SYS_exit_group, 0);
    }
    if (between < 0)
        return -1;
    while (waitpid(between, NULL, __WALL) < 0 && errno == EINTR) {
    }
    errno = error;
    return error ? -1 : 0;
}

/* In the copy, before it says a word: what it has of its parent's channel is not its own. */
void bj_branch_begins(void)
{
    if (handed.fds[0] >= 0)
        bj_handed_use(&handed);
}

static int take(PyObject *args, struct bj_handed *out)
{
    PyObject *number = args != NULL && PyTuple_Size(args) == 1 ? PyTuple_GetItem(args, 0) : NULL;
    long fd = number == NULL ? -1 : PyLong_AsLong(number);
    if (PyErr_Occurred())
        return -1;
    int why = bj_handed_take((int)fd, out);
    return why ? refuse(why, "no channel of its own came from the host") : 0;
}

/* This process itself, which had the one that stands in the environment. */
static int own_channel(PyObject *args)
{
    struct bj_handed own;
    if (take(args, &own) < 0)
        return -1;
    bj_handed_use(&own);
    return 0;
}

static int make(PyObject *args)
{
    if (PyOS_BeforeFork == NULL || PyOS_AfterFork_Parent == NULL || PyOS_AfterFork_Child == NULL)
        return refuse(ENOSYS, "this interpreter cannot be branched");
    struct bj_handed own;
    if (take(args, &own) < 0)
        return -1;
    sigset_t all, before;
    PyOS_BeforeFork();
    bj_channel_flush(); /* the process in between is not this one, and would leave it */
    if (!alone())
        end_helpers();
    int single = alone(), number = EBUSY;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* a handler would run in the one in between, too */
    handed = own;
    int branch = single ? split() : -1;
    number = single ? errno : EBUSY;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (branch == 1) {
        PyOS_AfterFork_Child();
        reseed_openssl();
        return 0;
    }
    bj_handed_close(&handed);
    PyOS_AfterFork_Parent();
    return branch < 0 ? refuse(number, single ? "no branch could be made" : "threads run") : 0;
}

/* Memory that was mapped to be shared becomes the branch's own, where it is. */
static int own(PyObject *args)
{
    if (args == NULL || PyTuple_Size(args) != 2)
        return refuse(EINVAL, "a place and a size");
    uint64_t place = PyLong_AsUnsignedLongLong(PyTuple_GetItem(args, 0));
    size_t size = (size_t)PyLong_AsUnsignedLongLong(PyTuple_GetItem(args, 1));
    if (PyErr_Occurred())
        return -1;
    void *there = (void *)(uintptr_t)place;
    void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return refuse(errno, "no memory for a copy of what is shared");
    if (size >= HUGE)
        (void)madvise(copy, size, MADV_HUGEPAGE);
    memcpy(copy, there, size);
    if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, there) == there)
        return 0;
    int number = errno;
    munmap(copy, size);
    return refuse(number, "what is shared cannot be replaced");
}

/* A limit of its own, never above what it has: which, soft, hard. */
static int limit(PyObject *args)
{
    uint64_t given[3];
    struct rlimit have;
    if (args == NULL || PyTuple_Size(args) != 3)
        return refuse(EINVAL, "three numbers");
    for (int i = 0; i < 3; i++)
        given[i] = PyLong_AsUnsignedLongLong(PyTuple_GetItem(args, i));
    if (PyErr_Occurred())
        return -1;
    if (given[0] > RLIM_NLIMITS || getrlimit((__rlimit_resource_t)given[0], &have) < 0)
        return refuse(EINVAL, "no such limit");
    have.rlim_max = given[2] < have.rlim_max ? given[2] : have.rlim_max;
    have.rlim_cur = given[1] < have.rlim_max ? given[1] : have.rlim_max;
    return setrlimit((__rlimit_resource_t)given[0], &have) < 0 ? refuse(errno, "a limit cannot be set") : 0;
}

/* A Landlock domain of its own, that allows what the one around it does, and reaches no process and
 * no abstract socket outside of itself (scopes: ABI 6). */
static int apart(void)
{
    struct { uint64_t fs, net, scoped; } attr = {0, 0, 3};
    int rules = (int)syscall(CREATE_RULESET, &attr, sizeof attr, 0);
    if (rules < 0)
        return refuse(errno, "Landlock has no scopes here");
    long done = syscall(RESTRICT_SELF, rules, 0);
    int number = errno;
    close(rules);
    return done < 0 ? refuse(number, "Landlock: no further domain") : 0;
}

int bj_branch(const char *name, PyObject *args)
{
    const char *what = name + 14;
    if (*what == 0)
        return make(args);
    if (strcmp(what, ".channel") == 0)
        return own_channel(args);
    if (strcmp(what, ".own") == 0)
        return own(args);
    if (strcmp(what, ".limit") == 0)
        return limit(args);
    return strcmp(what, ".apart") == 0 ? apart() : 0;
}
