/* belljar-keeper: started by the host with the plan on descriptor 3 and the guest's streams on
 * 0 to 2; reports on descriptor 4, one line a fact. It keeps the walls for as long as the host
 * keeps descriptor 3 open: when the host goes, by whatever way, so does the sandbox. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIXED = 6 }; /* descriptors that are always polled; the rest are pending connections */
int sync_fd = -1;
static struct plan *plan;

void report(const char *line)
{
    char text[4608];
    int n = snprintf(text, sizeof text, "%s\n", line);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    for (const char *p = text; size;) {
        ssize_t done = write(FD_REPORT, p, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            _exit(1);
        p += done;
        size -= (size_t)done;
    }
}

void fail(const char *step, int error, const char *detail)
{
    char line[4400];
    snprintf(line, sizeof line, "error %s %d %.4096s", step, error, detail);
    for (char *p = line; *p; p++)
        if (*p == '\n')
            *p = '?'; /* one fact, one line, whatever a path holds */
    if (sync_fd < 0)
        report(line);
    else
        (void)!send(sync_fd, line, strlen(line), MSG_NOSIGNAL);
    _exit(1);
}

static int take_descriptor(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            int fd;
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
            return fd;
        }
    return -1;
}

/* One message from init or the guest-to-be: 1, none waiting: 0, no more to come: -1. All senders
 * are C of ours: the socket closes at exec, before a byte of the guest's code runs. */
static int relay(int sync, int *listener)
{
    char text[4500], space[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {text, sizeof text - 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ssize_t n = recvmsg(sync, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -1;
    if (n == 0)
        return -1;
    text[n] = 0;
    int fd = take_descriptor(&msg);
    if (fd >= 0 && !strcmp(text, "datagrams"))
        hear_datagrams(fd);
    else if (fd >= 0)
        *listener = fd;
    else
        report(text);
    return 1;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void interrupt(int number) { (void)number; }

/* What is done with sockets that the guest holds as well may be made to wait: the last close of one
 * with SO_LINGER, say, which ours becomes when the guest closes its own meanwhile. A signal ends
 * every such wait, so that the clock and the host are heard. */
static void patience(time_t seconds)
{
    struct itimerval t = {.it_interval = {.tv_sec = seconds}, .it_value = {.tv_sec = seconds}};
    setitimer(ITIMER_REAL, &t, NULL);
}

static void answer_guest(int listener, bool asked, bool pending)
{
    patience(1);
    if (asked)
        mediate(plan, listener);
    if (pending)
        finish_pending(plan, listener);
    patience(0);
}

/* Init of a sandbox that a template forked is no child of ours. */
static void end_init(pid_t init, int pidfd)
{
    if (plan->engine == ENGINE_FORKED)
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    else
        kill(init, SIGKILL);
}

static void watch(int sync, int pidfd, pid_t init, int mapper)
{
    struct sigaction action = {.sa_handler = interrupt}; /* without SA_RESTART */
    sigaction(SIGALRM, &action, NULL);
    int listener = -1;
    bool talking = true, wanted = true;
    uint64_t end = plan->wall_ms ? now_ms() + plan->wall_ms : 0;
    for (;;) {
        struct pollfd fds[FIXED + MAX_PENDING + MAX_RELAYS] = {
            {wanted ? FD_CONTROL : -1, 0, 0}, {pidfd, POLLIN, 0}, {talking ? sync : -1, POLLIN, 0}, {listener, POLLIN, 0},
            {datagram_descriptor(), POLLIN, 0}, {mapper, POLLIN, 0}};
        int n = FIXED + pending_descriptors(fds + FIXED, MAX_PENDING), all = n + relay_descriptors(fds + n);
        uint64_t now = end ? now_ms() : 0;
        if (end && now >= end) {
            end_init(init, pidfd);
            end = 0;
        }
        int wait = !end ? -1 : end - now > 3600000 ? 3600000 : (int)(end - now);
        if (poll(fds, (nfds_t)all, wait) < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        if (fds[0].revents) { /* the host closed its end, or died */
            end_init(init, pidfd);
            wanted = false; /* what is left is to wait: the end of a network takes its time */
        }
        if (fds[2].revents)
            talking = relay(sync, &listener) >= 0;
        bool asked = listener >= 0 && (fds[3].revents & POLLIN), pending = false;
        if (listener >= 0 && fds[3].revents && !asked) {
            close(listener); /* the last task under the filter is gone */
            listener = -1;
        }
        for (int i = FIXED; i < n; i++)
            pending |= fds[i].revents != 0;
        if (all > n)
            pump_relays(); /* before anything is opened: one that is empty makes room */
        if (asked || pending)
            answer_guest(listener, asked, pending);
        if (fds[4].revents)
            pass_datagrams(plan);
        if (fds[5].revents)
            map_asked(mapper);
        if (fds[1].revents) {
            while (relay(sync, &listener) > 0) {
            }
            break;
        }
    }
    end_init(init, pidfd);
    waitpid(init, NULL, __WALL);
    finish_relays();
    remove_local_binds(plan);
    report("end");
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--version")) {
        puts("belljar-keeper 1");
        return 0;
    }
    if (argc > 1 || fcntl(FD_CONTROL, F_GETFD) < 0 || fcntl(FD_REPORT, F_GETFD) < 0) {
        fputs("belljar-keeper: started by belljar, not by hand\n", stderr);
        return 2;
    }
    prctl(PR_SET_NAME, "belljar-keeper");
    signal(SIGPIPE, SIG_IGN);
    /* a terminal's ^C is for the host to judge */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    syscall(SYS_close_range, FD_USERS + 1, ~0U, 0);
    for (int fd = FD_CONTROL; fd <= FD_USERS; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    plan = plan_new();
    plan->outside = getpid();
    plan_read(FD_CONTROL, plan); /* the tier */
    if (plan->engine != ENGINE_FORKED)
        syscall(SYS_close_range, FD_FIRST_OTHER, ~0U, 0);
    if (plan->engine == ENGINE_FORKED && plan->tier == TIER_USER)
        enter_users(FD_USERS);
    else
        enter_keeper_namespaces(plan);
    int pair[2], mapper[2] = {-1, -1}, pidfd = -1;
    if (plan->engine == ENGINE_FORKED)
        pair[0] = FD_INIT, pair[1] = -1;
    else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        fail("keeper", errno, "socketpair");
    if (plan->engine == ENGINE_TEMPLATE &&
        (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, mapper) < 0 ||
         setsockopt(mapper[0], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)) < 0))
        fail("keeper", errno, "mapper");
    pid_t init = plan->engine == ENGINE_FORKED ? -1 : clone_init(plan, &pidfd);
    if (init == 0) {
        close(pair[0]);
        close(mapper[0]);
        close(FD_CONTROL);
        close(FD_REPORT);
        init_main(plan, pair[1], mapper[1]);
    }
    close(pair[1]);
    close(mapper[1]);
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    close(FD_GO);
    if (plan->engine != ENGINE_FORKED) {
        map_init(plan, init);
        if (send(pair[0], "g", 1, MSG_NOSIGNAL) != 1)
            fail("keeper", errno, "init");
    }
    plan_read(FD_CONTROL, plan); /* the rest, made meanwhile */
    plan_check(plan);
    if (plan->engine == ENGINE_FORKED) {
        init = hear_template(plan, pair[0], &pidfd);
        send_plan(pair[0], plan);
    }
    if (mediates(plan) && !(plan->engine == ENGINE_FORKED ? can_look(init) : can_mediate(init)))
        fail("mediation", EPERM, "reading the address of a connection");
    open_locals(plan);
    open_appends(plan);
    limit_relays(plan);
    if (plan->probe)
        run_probes(plan, false, report);
    open_trees(plan);
    send_trees(pair[0], plan);
    if (plan->engine == ENGINE_TEMPLATE)
        become_mapper(init);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    serve_in(pidfd);
    watch(pair[0], pidfd, init, mapper[0]);
    return 0;
}
