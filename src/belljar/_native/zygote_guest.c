/* What the children of a template do: init, which raises the view and reaps, and the guest-to-be,
 * which confines itself and goes back into the interpreter. Like `init.c`, without an exec: what an
 * exec would have taken away is taken away by hand. */
#include "zygote.h"
#include "branch.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
enum { INIT_FD_SYNC = 5 };

static void close_from(unsigned first) { syscall(SYS_close_range, first, ~0U, 0); }

/* The numbers that `guest` has them under: streams, boot parameters; then the mapper's, which is
 * there already, and the keeper's. */
static void arrange(const int fds[GIVEN])
{
    int sync = fcntl(fds[0], F_DUPFD, 16); /* above all that is overwritten next */
    for (int fd = 0; fd < GIVEN - 1; fd++)
        if (dup2(fds[fd + 1], fd) < 0)
            _exit(1);
    if (sync < 0 || dup2(sync, INIT_FD_SYNC) < 0)
        _exit(1);
    sync_fd = INIT_FD_SYNC;
    close_from(INIT_FD_SYNC + 1);
}

/* The template's keeper writes the map: whoever is in here sees no procfs. */
static void ask_for_users(void)
{
    int done = eventfd(0, EFD_CLOEXEC);
    uint64_t answer = 0;
    if (done < 0)
        fail("user-namespace", errno, "eventfd");
    send_descriptor(TEMPLATE_FD_MAPPER, "m", done);
    if (read(done, &answer, sizeof answer) != sizeof answer || answer != 1)
        fail("user-namespace", EPERM, "no map for the guest's user");
    close(done);
    close(TEMPLATE_FD_MAPPER);
}

static char **copied(char **texts, size_t count)
{
    char **list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        if (!(list[i] = strdup(texts[i])))
            return NULL;
    return list;
}

/* The recorder begins as in a program that was just started. */
static void record(const struct told *told)
{
    int (*again)(int, char **, char **);
    *(void **)&again = dlsym(RTLD_DEFAULT, "belljar_reborn");
    int count = 0;
    while (told->args[count])
        count++;
    environ = told->env;
    if (!again || again(count, told->args, told->env) < 0)
        _exit(125); /* without a record nothing runs */
}

/* From here to `enter_walls` the guest-to-be waits; the template's own code may run meanwhile. */
static struct plan *plan;
static int built = -1; /* a byte comes when the view stands; the end, when init has died */

struct told enter_walls(void)
{
    char byte;
    ssize_t n;
    while ((n = read(built, &byte, 1)) < 0 && errno == EINTR) {
    }
    if (n != 1)
        _exit(1);
    if (chdir(plan->cwd) < 0)
        fail("cwd", errno, plan->cwd);
    struct told told = {copied(plan->envp, plan->envc), copied(plan->argv, plan->argc)};
    if (!told.env || !told.args)
        fail("init", ENOMEM, "arguments");
    /* nothing at all is executed: no program's name can lie there */
    confine(plan, (void *)UINTPTR_MAX);
    if (plan->probe) {
        close_from(INIT_FD_SYNC + 1);
        run_probes(plan, true, say);
        say("inside done 0");
        for (;;)
            pause();
    }
    munmap(plan, sizeof *plan);
    close_from(GUEST_FD_GO + 1);
    plan = NULL;
    sync_fd = built = -1;
    record(&told);
    reseed_openssl();
    return told;
}

static void heard(int number) { (void)number; }

/* Until the guest ends and all its branches, or the keeper. */
_Noreturn static void wait_for(pid_t guest, bool branches)
{
    struct pollfd keeper = {.fd = INIT_FD_SYNC};
    sigset_t all;
    sigemptyset(&all);
    for (;;) {
        int status;
        struct rusage used;
        pid_t pid;
        while ((pid = wait4(-1, &status, __WALL | WNOHANG, &used)) > 0) {
            if (pid == guest)
                tell_exit(status, &used);
            else if (branches)
                tell_left(pid, status, &used);
            if (pid == guest && !branches)
                _exit(0);
        }
        if (pid < 0 && errno == ECHILD)
            _exit(0); /* the last branch has ended */
        if (ppoll(&keeper, 1, NULL, &all) > 0)
            _exit(1);
    }
}

/* The plan is the same memory for both, so that the guest can be made before there is one. */
static bool build(int done)
{
    receive_plan(INIT_FD_SYNC, plan);
    bool branches = plan->allow_branch;
    raise_view(plan, INIT_FD_SYNC);
    if (plan->start) { /* the interpreter runs already */
        if (umount2(plan->start, MNT_DETACH) < 0)
            fail("mounts", errno, plan->start);
        say("sealed");
    }
    munmap(plan, sizeof *plan);
    if (write(done, "v", 1) != 1)
        fail("init", errno, "guest");
    close(done);
    return branches;
}

/* By the template: the signals that init, which runs none of its code, has to take from it. */
static bool handled[NSIG];

void note_handlers(void)
{
    struct sigaction now;
    for (int s = 1; s < NSIG; s++)
        handled[s] = s != SIGCHLD && sigaction(s, NULL, &now) == 0 && now.sa_handler != SIG_DFL;
}

void become_guest(const int fds[GIVEN], const struct sigaction *child)
{
    die_with_parent(); /* the template has one thread */
    arrange(fds);
    plan = plan_new();
    plan->tier = TIER_USER; /* until it is known: the template has no groups to drop */
    ask_for_users();
    become_guest_user(plan);
    die_with_parent();
    enter_new_root(plan);
    int pair[2];
    sigset_t chld, mask;
    struct sigaction wake = {.sa_handler = heard};
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, &mask);
    sigaction(SIGCHLD, &wake, NULL);
    pid_t guest = pipe2(pair, O_CLOEXEC) < 0 ? -1 : fork();
    if (guest < 0)
        fail("init", errno, "fork");
    if (guest == 0) {
        close(pair[1]);
        built = pair[0];
        sigaction(SIGCHLD, child, NULL);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        enter_session();
        return;
    }
    prctl(PR_SET_NAME, "belljar-init");
    struct sigaction plain = {.sa_handler = SIG_DFL}; /* which PID 1 ignores */
    for (int s = 1; s < NSIG; s++)
        if (handled[s])
            sigaction(s, &plain, NULL);
    syscall(SYS_close_range, 0, INIT_FD_SYNC - 1, 0); /* the streams end when the guest's copies do */
    close(pair[0]);
    bool branches = build(pair[1]);
    wait_for(guest, branches);
}
