/* The zygote: the C part of a template (docs/template.md). An extension that a warmed interpreter
 * calls once; `serve` returns in guests only, which wait in `enter` until their walls stand. Between a request and a guest there
 * are two forks: the first, bare, makes init, which runs no Python; the second, glibc's, the guest.
 *
 * Names only functions that every CPython from 3.8 on has; the limited API keeps it one file. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "zygote.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int sync_fd = -1; /* only ever set in init */

void report(const char *line) { say(line); }

void fail(const char *step, int error, const char *detail)
{
    char line[4400];
    int n = snprintf(line, sizeof line, "error %s %d %.4096s", step, error, detail);
    for (char *p = line; *p; p++)
        if (*p == '\n')
            *p = '?'; /* one fact, one line, whatever a path holds */
    (void)!send(sync_fd, line, (size_t)n, MSG_NOSIGNAL);
    _exit(1);
}

/* 1: a request, 0: something else, -1: nobody will ask any more. */
static int take_request(int fds[GIVEN])
{
    char byte, space[CMSG_SPACE(GIVEN * sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ssize_t n = recvmsg(TEMPLATE_FD_REQUESTS, &msg, MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return n < 0 && errno == EINTR ? 0 : -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(c), count * sizeof(int));
    if (count == GIVEN)
        return 1;
    while (count)
        close(fds[--count]);
    return 0;
}

/* To the keeper that asked: who init is, or why there is none. It may have gone meanwhile. */
static void answer(int to, pid_t init, int pidfd, int error)
{
    char text[64], space[CMSG_SPACE(sizeof pidfd)] __attribute__((aligned(8))) = {0};
    int n = snprintf(text, sizeof text, init < 0 ? "error namespaces %d clone3" : "init", error);
    struct iovec iov = {text, (size_t)n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (init > 0) {
        msg.msg_control = space;
        msg.msg_controllen = sizeof space;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof pidfd);
        memcpy(CMSG_DATA(c), &pidfd, sizeof pidfd);
    }
    (void)!sendmsg(to, &msg, MSG_NOSIGNAL);
    if (init > 0)
        close(pidfd);
}

static pid_t make_init(int *pidfd)
{
    struct clone_args args = {
        .flags = CLONE_PIDFD | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
                 CLONE_NEWUTS | CLONE_NEWCGROUP,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
    };
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* Handlers for forks end the helper threads of numerical libraries; they have to run where the
 * threads are. What has threads after that cannot be forked: who holds which lock is unknown. */
static int alone(void)
{
    PyOS_BeforeFork();
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    PyOS_AfterFork_Parent();
    if (child > 0)
        waitpid(child, NULL, 0);
    if (child <= 0 || syscall(SYS_unshare, CLONE_THREAD) != 0)
        return 0;
    PyOS_BeforeFork();
    PyOS_AfterFork_Child(); /* for the first time, which takes longest, here and not in each guest */
    return syscall(SYS_unshare, CLONE_THREAD) == 0;
}

static PyObject *list_of(char **texts)
{
    PyObject *list = PyList_New(0);
    for (; list && *texts; texts++) {
        PyObject *text = PyBytes_FromString(*texts);
        if (!text || PyList_Append(list, text) < 0)
            Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

static enum { WARM, SERVING, PARKED, CONFINED } stage;

/* In a parked guest, once: returns (environment, arguments) behind all walls. */
static PyObject *enter(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    if (stage != PARKED) {
        PyErr_SetString(PyExc_RuntimeError, "not a guest that waits");
        return NULL;
    }
    stage = CONFINED;
    struct told told = enter_walls();
    PyObject *env = list_of(told.env), *args = list_of(told.args);
    PyObject *both = env && args ? PyTuple_Pack(2, env, args) : NULL;
    Py_XDECREF(env);
    Py_XDECREF(args);
    return both;
}

/* Returns in each guest that is forked, parked. A template ends in here. */
static PyObject *serve(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    struct sigaction before, ignore = {.sa_handler = SIG_IGN}; /* the kernel reaps every init */
    if (stage != WARM) {
        PyErr_SetString(PyExc_RuntimeError, "a guest is no template");
        return NULL;
    }
    if (!alone()) {
        PyErr_SetString(PyExc_RuntimeError,
                        "what was imported or set up keeps a thread running: start it in the sandboxes");
        return NULL;
    }
    settle_heaps();
    note_handlers();
    if (send(TEMPLATE_FD_REQUESTS, "ready", 5, MSG_NOSIGNAL) != 5 || sigaction(SIGCHLD, &ignore, &before) < 0)
        _exit(0);
    stage = SERVING;
    for (;;) {
        int fds[GIVEN], pidfd = -1, got = take_request(fds);
        if (got < 0)
            _exit(0);
        if (got == 0)
            continue;
        PyOS_BeforeFork();
        pid_t init = make_init(&pidfd);
        if (init == 0) {
            become_guest(fds, &before); /* init does not return */
            stage = PARKED;
            PyOS_AfterFork_Child();
            Py_INCREF(Py_None);
            return Py_None;
        }
        int error = errno;
        PyOS_AfterFork_Parent();
        answer(fds[0], init, pidfd, error);
        for (int i = 0; i < GIVEN; i++)
            close(fds[i]);
    }
}

static PyMethodDef functions[] = {
    {"serve", serve, METH_NOARGS, NULL},
    {"enter", enter, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyModuleDef_Slot slots[] = {{0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "belljar_zygote", .m_methods = functions, .m_slots = slots,
};

PyMODINIT_FUNC PyInit_belljar_zygote(void);
PyMODINIT_FUNC PyInit_belljar_zygote(void) { return PyModuleDef_Init(&definition); }
