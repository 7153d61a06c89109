/* The sandbox from within, in the order that ARCHITECTURE.md explains: init raises the view, the
 * guest-to-be gives up what it holds. The same for a guest that is executed and one that is forked. */
#include "keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void give_datagrams(int fd)
{
    send_descriptor(sync_fd, "datagrams", fd);
    close(fd);
}

void die_with_parent(void)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        fail("init", errno, "pdeathsig");
}

/* By init, as the guest's user. */
void raise_view(const struct plan *plan, int sync)
{
    static int trees[MAX_VIEWS];
    receive_trees(sync, plan, trees);
    const char *name = plan->host_name ? plan->host_name : "belljar";
    if (plan->tier != TIER_LANDLOCK && sethostname(name, strlen(name)) < 0)
        fail("namespaces", errno, "sethostname");
    open_datagrams(plan, give_datagrams);
    build_view(plan, trees);
}

void enter_session(void)
{
    if (setsid() < 0)
        fail("session", errno, "setsid");
    umask(022);
    drop_privileges();
}

/* `secret`: the only address whose program may be executed from here on. */
void confine(const struct plan *plan, const void *secret)
{
    if (plan->engine == ENGINE_TEMPLATE) { /* its guests mount, which Landlock forbids */
        apply_limits(plan);
        apply_template_filter();
        return;
    }
    apply_landlock(plan);
    apply_limits(plan);
    int listener = apply_seccomp(plan, secret);
    if (listener >= 0) {
        send_descriptor(sync_fd, "listener", listener);
        close(listener);
    }
}

static long long microseconds(struct timeval t) { return (long long)t.tv_sec * 1000000 + t.tv_usec; }

static void tell_end(const char *who, int status, const struct rusage *used)
{
    char line[160];
    snprintf(line, sizeof line, "%s %d %lld %lld %ld", who, status, microseconds(used->ru_utime),
             microseconds(used->ru_stime), used->ru_maxrss);
    say(line);
}

void tell_exit(int status, const struct rusage *used) { tell_end("exit", status, used); }

void tell_left(pid_t pid, int status, const struct rusage *used)
{
    char who[32];
    snprintf(who, sizeof who, "left:%d", (int)pid);
    tell_end(who, status, used);
}
