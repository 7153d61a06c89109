/* `belljar.confine()`: the keeper's walls around this very process, and the child that tries them.
 *
 * Whatever fails before the first wall stands becomes an exception, and nothing has changed. From
 * there on a failure ends the process with status 125: half a confinement looks like a whole one. */
#include "keeper.h"

#include "module.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One call at a time: what follows is of the process. */
static atomic_flag busy = ATOMIC_FLAG_INIT;
static jmp_buf before;
static bool can_go_back;
static struct { char step[32], detail[256]; int error; } failure;
static int on_trial = -1; /* in the trial: where its report goes */
static bool confined; /* by us, once at least: there is no privilege left to drop */

_Noreturn void fail(const char *step, int error, const char *detail)
{
    snprintf(failure.step, sizeof failure.step, "%s", step);
    snprintf(failure.detail, sizeof failure.detail, "%s", detail);
    failure.error = error;
    if (can_go_back)
        longjmp(before, 1);
    char line[512];
    if (on_trial >= 0) {
        int n = snprintf(line, sizeof line, "error %s %d %s\n", step, error, detail);
        (void)!write(on_trial, line, n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
        _exit(125);
    }
    int n = snprintf(line, sizeof line, "belljar: confine failed half way, the process ends: %s: %s%s%s\n", step,
                     strerror(error), *detail ? ": " : "", detail);
    (void)!write(2, line, n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
    for (;;)
        syscall(SYS_exit_group, 125);
}

static struct plan *plan;
static int ruleset;

static void read_plan(const char *words, size_t size)
{
    plan = plan_new();
    if (size == 0 || size > sizeof plan->text)
        fail("plan", E2BIG, "size");
    memcpy(plan->text, words, size);
    plan_words(plan, plan->text, size);
    if (!plan->here)
        fail("plan", EINVAL, "is for a sandbox");
}

static void finish(void)
{
    if (plan)
        munmap(plan, sizeof *plan);
    plan = NULL;
    atomic_flag_clear(&busy);
}

/* Everything that can fail and changes nothing. */
static int prepare(const char *words, size_t size)
{
    if (atomic_flag_test_and_set(&busy)) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is confining this process");
        return -1;
    }
    plan = NULL;
    ruleset = -1;
    can_go_back = true;
    if (setjmp(before) == 0) {
        read_plan(words, size);
        ruleset = landlock_ruleset(plan);
        can_go_back = false;
        return 0;
    }
    can_go_back = false;
    finish();
    PyObject *error = Py_BuildValue("isss", failure.error, strerror(failure.error), failure.step, failure.detail);
    if (error != NULL)
        PyErr_SetObject(PyExc_OSError, error);
    Py_XDECREF(error);
    return -1;
}

static void start_clock(uint64_t milliseconds)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec at = {.it_value = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000}};
    int id = -1;
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) < 0 || syscall(SYS_timer_settime, id, 0, &at, NULL) < 0)
        fail("wall", errno, "timer");
    plan->clock = id;
}

static void apply(bool all_threads)
{
    can_go_back = false;
    if (plan->wall_ms)
        start_clock(plan->wall_ms);
    if (!confined)
        drop_privileges();
    landlock_enforce(ruleset, all_threads);
    apply_limits(plan);
    apply_seccomp(plan, NULL);
    confined = true;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
        fail("privileges", EPERM, "not taken");
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC); /* no policy grants it */
    if (fd >= 0)
        fail("landlock", EEXIST, "a file outside the grants can still be opened");
}

/* The trial: a copy of this process does it first. */
static void tell(const char *line)
{
    char text[128];
    int n = snprintf(text, sizeof text, "%s\n", line);
    (void)!write(on_trial, text, (size_t)n);
}

/* The trial forks some thirty times, and needs nothing of what the program has computed: large private
 * memory is not copied then. But where this stack or the thread's own data lies; and the head of each,
 * for the variables of a library may have grown together with what was mapped behind them. */
static void travel_light(void)
{
    enum { LARGE = 8 << 20, HEAD = 2 << 20 };
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    uintptr_t here = (uintptr_t)&maps, own = (uintptr_t)&errno;
    while (maps && fgets(line, sizeof line, maps)) {
        uintptr_t from, to;
        char mode[5] = "";
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, mode) != 3 || strcmp(mode, "rw-p") ||
            to - from < LARGE || strchr(line, '[') || (from <= here && here < to) || (from <= own && own < to))
            continue;
        madvise((void *)(from + HEAD), to - from - HEAD, MADV_DONTFORK);
    }
    if (maps)
        fclose(maps);
}

/* In a child of the trial: a clock that it may not stop ends it. */
struct clock_trial { pid_t child; int told; };

static struct clock_trial try_clock(int milliseconds)
{
    int told[2];
    if (pipe(told) < 0)
        return (struct clock_trial){-1, -1};
    pid_t child = fork();
    if (child == 0) {
        plan->wall_ms = (uint64_t)milliseconds;
        apply(false);
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        struct itimerspec never = {{0, 0}, {0, 0}};
        long stopped = syscall(SYS_timer_settime, plan->clock, 0, &never, NULL);
        long deleted = syscall(SYS_timer_delete, plan->clock);
        char ok = stopped < 0 && deleted < 0;
        (void)!write(told[1], &ok, 1);
        nanosleep(&(struct timespec){20, 0}, NULL);
        _exit(1);
    }
    close(told[1]);
    return (struct clock_trial){child, told[0]};
}

static bool clock_holds(struct clock_trial t)
{
    char ok = 0;
    int status = 0;
    bool said = t.child > 0 && read(t.told, &ok, 1) == 1;
    return t.child > 0 && waitpid(t.child, &status, 0) == t.child && said && ok && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGKILL;
}

_Noreturn static void trial(int to, pid_t outside, bool light)
{
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP && number != SIGPIPE)
            signal(number, SIG_DFL); /* handlers of Python's are not for this copy */
    signal(SIGALRM, SIG_DFL);
    alarm(30);
    on_trial = fcntl(to, F_DUPFD_CLOEXEC, 10);
    dup2(on_trial, GUEST_FD_GO); /* what the attempts copy */
    plan->outside = outside;
    if (light)
        travel_light();
    uint64_t wall = plan->wall_ms;
    struct clock_trial clock = wall ? try_clock(60) : (struct clock_trial){-1, -1};
    plan->wall_ms = 0;
    run_probes(plan, false, tell);
    if (wall) /* a loaded machine may need longer than the short clock runs */
        tell(clock_holds(clock) || clock_holds(try_clock(3000)) ? "inside clock 1" : "inside clock 0");
    plan->wall_ms = 0;
    apply(false);
    run_probes(plan, true, tell);
    tell("done");
    _exit(0);
}

/* Between this process and the trial: when it is over and nobody is left to, puts the prey away. */
_Noreturn static void attend(int to, pid_t outside, bool light)
{
    static const char *const PREY[] = {"secret", "victim", "doomed", "created", "socket"};
    pid_t copy = fork();
    if (copy == 0)
        trial(to, outside, light);
    close(to);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    while (copy > 0 && waitpid(copy, NULL, 0) < 0 && errno == EINTR) {
    }
    if (getppid() == outside || chdir(plan->canary) < 0)
        _exit(0);
    for (size_t i = 0; i < sizeof PREY / sizeof *PREY; i++)
        unlink(PREY[i]);
    rmdir("scratch");
    rmdir(plan->canary);
    _exit(0);
}

/* confine_try(words, fd, light) -> pid of a child that reports what it could do */
PyObject *bj_confine_try(PyObject *self, PyObject *args)
{
    (void)self;
    const char *words = NULL;
    Py_ssize_t size = 0;
    int fd = -1, light = 0;
    if (!PyArg_ParseTuple(args, "y#ip:confine_try", &words, &size, &fd, &light))
        return NULL;
    if (prepare(words, (size_t)size) < 0)
        return NULL;
    pid_t outside = getpid(), child = fork();
    int error = errno;
    if (child == 0)
        attend(fd, outside, light);
    close(ruleset);
    finish();
    if (child < 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyLong_FromLong(child);
}

/* Whether this is the only thread, asked without procfs; -1: the kernel, or a filter, does not say. */
PyObject *bj_is_alone(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    if (unshare(CLONE_THREAD) == 0)
        return PyLong_FromLong(1);
    return PyLong_FromLong(errno == EINVAL ? 0 : -1);
}

/* confine_apply(words, all_threads): for good */
PyObject *bj_confine_apply(PyObject *self, PyObject *args)
{
    (void)self;
    const char *words = NULL;
    Py_ssize_t size = 0;
    int all_threads = 0;
    if (!PyArg_ParseTuple(args, "y#p:confine_apply", &words, &size, &all_threads))
        return NULL;
    if (prepare(words, (size_t)size) < 0)
        return NULL;
    apply(all_threads);
    finish();
    return Py_BuildValue("");
}
