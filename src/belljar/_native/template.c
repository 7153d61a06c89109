/* The keeper's part of the template engine (docs/template.md). A template is a sandbox of its own,
 * whose guest is a warmed interpreter that forks: `zygote.c` runs in there.
 *
 * The host asks the template for the init of a sandbox, and starts the keeper meanwhile, which gets
 * a socket to that init. The template's keeper maps the users of every such init: the template sees no procfs, and needs no capability so. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static pid_t pid_of(int pidfd)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *at = strstr(text, "Pid:");
    return at ? (pid_t)strtol(at + 4, NULL, 10) : -1;
}

/* A descriptor of init, which the template made; or its reason, passed on. */
pid_t hear_template(const struct plan *plan, int ours, int *pidfd)
{
    struct pollfd fds[2] = {{ours, POLLIN, 0}, {FD_CONTROL, 0, 0}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            fail("template", errno, "poll");
    if (!(fds[0].revents & POLLIN))
        _exit(0); /* the host went away */
    char text[4500], space[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov = {text, sizeof text - 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ssize_t n = recvmsg(ours, &msg, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
    if (n <= 0)
        fail("template", n < 0 ? errno : EPIPE, "it has ended");
    text[n] = 0;
    if (!c) {
        report(text);
        _exit(1);
    }
    memcpy(pidfd, CMSG_DATA(c), sizeof *pidfd);
    pid_t init = pid_of(*pidfd);
    if (init <= 0)
        fail("template", ESRCH, "init");
    snprintf(text, sizeof text, "/proc/%d", (int)init); /* grants are mapped to this user */
    struct stat st;
    if (plan->tier == TIER_ROOT && (stat(text, &st) < 0 || st.st_uid != plan->guest_uid))
        fail("template", EPERM, "it has another user");
    return init;
}

/* By the template's keeper, once its work as a keeper is done: into the users that the template is
 * in, which are the parents of those that its guests will be in. */
void become_mapper(pid_t init)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)init);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWUSER) < 0)
        fail("template", errno, "users");
    close(fd);
    prctl(PR_SET_DUMPABLE, 1);
}

static bool map_one(pid_t init, const char *file)
{
    char path[64], line[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)init, file);
    int n = snprintf(line, sizeof line, "%d %d 1\n", GUEST_ID, GUEST_ID), fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, line, (size_t)n) == n;
    if (fd >= 0)
        close(fd);
    return done;
}

/* An init asks, and sends a descriptor by which to answer. Who it is, the kernel tells. All that it
 * can get is what it would be given anyway: the template's own user, and no other. */
void map_asked(int fd)
{
    union { char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } room;
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
    struct ucred who = {0};
    int answer = -1;
    if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1)
        return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
            memcpy(&who, CMSG_DATA(c), sizeof who);
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(&answer, CMSG_DATA(c), sizeof answer);
    }
    uint64_t good = who.pid > 0 && map_one(who.pid, "uid_map") && map_one(who.pid, "gid_map") ? 1 : 2;
    if (answer >= 0) {
        (void)!write(answer, &good, sizeof good);
        close(answer);
    }
}
