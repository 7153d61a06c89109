/* What a process of a branching sandbox gets of the host: a channel, and what belongs to it, that no
 * other process has. The program could ask for it as we do, so it is taken from nobody but the host:
 * the kernel says that a process outside of this PID namespace made the socket. */
#define _GNU_SOURCE
#include "handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder.h"

static const char mark[] = "belljar channel"; /* with its NUL */

static int from_host(int socket)
{
    struct ucred who = {.pid = -1};
    int type = 0;
    socklen_t size = sizeof who, length = sizeof type;
    return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET &&
           getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid == 0;
}

static int is(int fd, mode_t kind)
{
    struct stat st;
    return syscall(SYS_fstat, fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

void bj_handed_close(struct bj_handed *it)
{
    for (int i = 0; i < BJ_HANDED; i++) {
        if (it->fds[i] >= 0)
            syscall(SYS_close, it->fds[i]);
        it->fds[i] = -1;
    }
}

int bj_handed_take(int socket, struct bj_handed *out)
{
    char text[sizeof mark + 3];
    char space[CMSG_SPACE(BJ_HANDED * sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov = {text, sizeof text};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    *out = (struct bj_handed){{-1, -1, -1}};
    if (!from_host(socket))
        return EPERM;
    ssize_t n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
    int given = 0;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        given = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    int fds[BJ_HANDED + 1], used = 0; /* the room is rounded up to one more */
    memcpy(fds, c ? CMSG_DATA(c) : (void *)text, (size_t)given * sizeof(int));
    /* behind the mark: which of them there are */
    for (int i = 0; i < BJ_HANDED && n == (ssize_t)sizeof text; i++)
        if (text[sizeof mark + i] == '1' && used < given)
            out->fds[i] = fds[used++];
    if (used == given && n == (ssize_t)sizeof text && !memcmp(text, mark, sizeof mark) && !(msg.msg_flags & MSG_CTRUNC) &&
        is(out->fds[0], S_IFIFO) && (out->fds[1] < 0 || is(out->fds[1], S_IFREG)) &&
        (out->fds[2] < 0 || is(out->fds[2], S_IFREG)))
        return 0;
    for (int i = 0; i < given; i++)
        syscall(SYS_close, fds[i]);
    *out = (struct bj_handed){{-1, -1, -1}};
    return EMFILE; /* no room for another open file (limits.open-files) */
}

void bj_handed_use(struct bj_handed *it)
{
    bj_channel_use(it->fds[0], it->fds[1]);
    bj_answers_use(it->fds[2]);
    it->fds[0] = -1;
    bj_handed_close(it); /* mapped, or not wanted */
}
