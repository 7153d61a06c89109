/* Users and namespaces (user_namespaces(7), pid_namespaces(7)). */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail("user-namespace", errno, path);
    close(fd);
}

void write_map(pid_t pid, const char *file, unsigned inside, unsigned outside)
{
    char path[64], line[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    snprintf(line, sizeof line, "%u %u 1\n", inside, outside);
    write_file(path, line);
}

/* Where the template was made by an ordinary user: what hangs in its namespaces is ours to look at,
 * and to clone trees for, only from within those of its keeper. */
void enter_users(int fd)
{
    if (setns(fd, CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNS) < 0)
        fail("user-namespace", errno, "the template's");
    prctl(PR_SET_DUMPABLE, 1); /* else /proc/self is not ours to read */
    close(fd);
}

/* An ordinary user becomes the owner of a user and a mount namespace, because cloning the
 * trees of the grants needs CAP_SYS_ADMIN over the namespace they hang in. */
void enter_keeper_namespaces(const struct plan *plan)
{
    if (plan->tier != TIER_USER)
        return;
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        fail("user-namespace", errno, "unshare");
    write_file("/proc/self/setgroups", "deny");
    write_map(getpid(), "uid_map", uid, uid);
    write_map(getpid(), "gid_map", gid, gid);
}

/* A namespace whose mapping makes files of `from` belong to the guest (mount_setattr(2),
 * MOUNT_ATTR_IDMAP): inside a granted tree the guest acts as the tree's owner, and host
 * user 0 is never mapped to it. */
int idmap_namespace(uid_t from_uid, gid_t from_gid, uid_t to)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        fail("idmap", errno, "pipe");
    pid_t child = fork();
    if (child < 0)
        fail("idmap", errno, "fork");
    if (child == 0) {
        char ok = unshare(CLONE_NEWUSER) < 0 ? 0 : 1;
        if (write(ready[1], &ok, 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    close(ready[1]);
    char ok = 0;
    if (read(ready[0], &ok, 1) != 1 || !ok)
        fail("idmap", EPERM, "unshare");
    close(ready[0]);
    write_map(child, "uid_map", from_uid, to);
    write_map(child, "gid_map", from_gid, to);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)child);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail("idmap", errno, path);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return fd;
}

pid_t clone_init(const struct plan *plan, int *pidfd)
{
    struct clone_args args = {
        .flags = CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
    };
    if (plan->tier != TIER_LANDLOCK)
        args.flags |= CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
                      CLONE_NEWUTS | CLONE_NEWCGROUP;
    pid_t pid = (pid_t)syscall(__NR_clone3, &args, sizeof args);
    if (pid < 0 && errno == ENOSYS) /* containers refuse clone3, whose flags no filter can read */
        pid = (pid_t)syscall(__NR_clone, (unsigned long)(args.flags | SIGCHLD), NULL, pidfd, NULL, NULL);
    if (pid < 0)
        fail("namespaces", errno, "clone3");
    return pid;
}

void map_init(const struct plan *plan, pid_t init)
{
    if (plan->tier == TIER_LANDLOCK)
        return;
    bool root = plan->tier == TIER_ROOT;
    if (!root) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/setgroups", (int)init);
        write_file(path, "deny");
    }
    write_map(init, "uid_map", GUEST_ID, root ? plan->guest_uid : geteuid());
    write_map(init, "gid_map", GUEST_ID, root ? plan->guest_uid : getegid());
}

void become_guest_user(const struct plan *plan)
{
    if (plan->tier == TIER_LANDLOCK)
        return;
    /* keep the namespace's capabilities for building the view; they go in drop_privileges() */
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
        fail("user-namespace", errno, "securebits");
    if (plan->tier == TIER_ROOT && setgroups(0, NULL) < 0)
        fail("user-namespace", errno, "setgroups");
    if (setresgid(GUEST_ID, GUEST_ID, GUEST_ID) < 0 || setresuid(GUEST_ID, GUEST_ID, GUEST_ID) < 0)
        fail("user-namespace", errno, "setresuid");
}
