/* The recorder: preloaded into every process, awake only inside CPython >= 3.8. It adds an audit
 * hook before the interpreter initialises and writes each event out before the operation it
 * announces proceeds. Nothing here runs guest code or trusts the guest's objects. */
#define _GNU_SOURCE
#include "recorder.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "encode.h"
#include "settings.h"
#include "stack.h"
#include "window.h"

enum { CWD_TEXT = 512, KEPT = 1300 }; /* kept for frame and working directory */

static unsigned char arguments[1024]; /* argv, encoded once: the program may overwrite it */
static size_t arguments_len;
static char version[32];
static int collects_anywhere; /* 3.10, 3.11: any allocation may run the collector, so __del__ */
int PyGC_Disable(void) BJ_WEAK;
int PyGC_Enable(void) BJ_WEAK;

_Noreturn void bj_refuse(const char *why)
{
    static const char prefix[] = "belljar: ";
    (void)!write(2, prefix, sizeof prefix - 1);
    (void)!write(2, why, strlen(why));
    (void)!write(2, "\n", 1);
    for (;;)
        syscall(SYS_exit_group, 125);
}

static void put_args(struct bj_buf *b, const char *name, PyObject *args)
{
    Py_ssize_t size = args == NULL ? 0 : PyTuple_Size(args);
    size_t n = size > BJ_MAX_ITEMS ? BJ_MAX_ITEMS : (size_t)size, told = n;
    size_t first = BJ_MAX_TEXT;
    if (name[0] == 'i' && strcmp(name, "import") == 0)
        told = n < 2 ? n : 2; /* not sys.path and the finders, again and again */
    else if (name[0] == 'o' && strcmp(name, "os.putenv") == 0)
        told = n < 1 ? n : 1; /* environments are named, never told */
    else if (name[0] == 'c' && strcmp(name, "compile") == 0)
        first = 256;
    else if (name[0] == 'm' && strcmp(name, "marshal.loads") == 0)
        first = 32;
    else if (name[0] == 'c' && strcmp(name, "code.__new__") == 0)
        first = 32;
    bj_put_array(b, n);
    for (size_t i = 0; i < n; i++) {
        bj_reserve(b, n - 1 - i);
        if (i < told)
            bj_value(b, PyTuple_GetItem(args, (Py_ssize_t)i), i == 0 ? first : BJ_MAX_TEXT, 1);
        else
            bj_put_nil(b);
        bj_release(b, n - 1 - i);
    }
}

static int starts(const char *name, const char *with) { return strncmp(name, with, strlen(with)) == 0; }

/* Events beyond files that a policy may have to decide. */
static int must_check(const char *name)
{
    if (name[0] == 's')
        return starts(name, "socket.") || starts(name, "subprocess.") ||
               strcmp(name, "sys.addaudithook") == 0;
    if (name[0] == 'o')
        return name[1] == 's' &&
               (starts(name, "os.exec") || starts(name, "os.spawn") || starts(name, "os.fork") ||
                starts(name, "os.posix_spawn") || strcmp(name, "os.system") == 0);
    return starts(name, "ctypes.") || strcmp(name, "pty.spawn") == 0 ||
           strcmp(name, "belljar.denied") == 0 || strcmp(name, "_posixsubprocess.fork_exec") == 0;
}

static void put_event(struct bj_buf *b, const char *name, PyObject *args,
                      const struct bj_file_event *file, int alive, int urgent)
{
    bj_put_array(b, 4);
    bj_text(b, name, strlen(name), BJ_NAME_TEXT);
    bj_reserve(b, KEPT);
    put_args(b, name, alive ? args : NULL); /* 3.8 tells of events before there is a thread */
    bj_release(b, KEPT);
    if (alive)
        bj_put_frame(b, urgent); /* a person will read it: whose call was it? */
    else
        bj_put_nil(b);
    char cwd[BJ_FRAME];
    if (file != NULL && bj_names_relative(file, args) && getcwd(cwd, sizeof cwd) != NULL)
        bj_text(b, cwd, strlen(cwd), CWD_TEXT);
    else
        bj_put_nil(b);
}

static int hook(const char *name, PyObject *args, void *unused)
{
    (void)unused;
    if (!bj_channel_is_open() || bj_asking())
        return 0;
    int alive = bj_has_thread_state(), collecting = 0, urgent = must_check(name), flags = 0;
    PyObject *type = NULL, *value = NULL, *trace = NULL;
    if (alive && PyErr_Occurred())
        PyErr_Fetch(&type, &value, &trace);
    if (alive && collects_anywhere)
        collecting = PyGC_Disable();
    unsigned char frame[BJ_FRAME];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    const struct bj_file_event *file = alive ? bj_file_event(name) : NULL;
    enum bj_verdict verdict = BJ_PASS;
    if (bj_window_is_open()) {
        if (file != NULL)
            verdict = bj_window_judge(file, args);
        urgent |= verdict != BJ_PASS;
        flags = urgent ? BJ_CHECK : 0;
        if (verdict > BJ_UNSURE)
            flags |= BJ_REFUSED;
    }
    if (!urgent)
        flags |= BJ_BULK;
    put_event(&b, name, args, file, alive, urgent);
    if (name[0] == 'o' && strcmp(name, "os.system") == 0)
        bj_exec_env_restore();
    bj_channel_send(frame, b.len - BJ_HEADER, BJ_EVENT, flags | (b.cut ? BJ_TRUNCATED : 0));
    if (collecting)
        PyGC_Enable();
    if (verdict > BJ_UNSURE) {
        Py_DecRef(type), Py_DecRef(value), Py_DecRef(trace);
        bj_window_raise(file, args, verdict);
        return -1;
    }
    if (type != NULL)
        PyErr_Restore(type, value, trace);
    return 0;
}

static void send_hello(int flags)
{
    unsigned char frame[BJ_FRAME];
    char cwd[BJ_FRAME];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    bj_put_array(&b, 5);
    bj_put_str(&b, version, strlen(version));
    bj_put_int(&b, getppid());
    unsigned char *at = arguments_len <= sizeof arguments ? bj_room(&b, arguments_len) : NULL;
    if (at != NULL)
        memcpy(at, arguments, arguments_len);
    if (getcwd(cwd, sizeof cwd) != NULL)
        bj_text(&b, cwd, strlen(cwd), BJ_MAX_TEXT);
    else
        bj_put_nil(&b);
    bj_put_uint(&b, bj_channel_drops());
    bj_channel_send(frame, b.len - BJ_HEADER, BJ_HELLO, flags | (b.cut ? BJ_TRUNCATED : 0));
}

void bj_send_bye(int flags)
{
    unsigned char frame[BJ_HEADER + 16];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    if (!bj_channel_is_open() || !bj_channel_is_ours())
        return;
    bj_put_array(&b, 1);
    bj_put_uint(&b, bj_channel_drops());
    bj_channel_send(frame, b.len - BJ_HEADER, BJ_BYE, flags);
}

static void in_child(void)
{
    if (!bj_channel_is_open())
        return;
    bj_channel_after_fork();
    send_hello(BJ_FORKED);
}

static void keep_arguments(int argc, char **argv)
{
    struct bj_buf b = {.data = arguments, .cap = sizeof arguments};
    size_t n = argc < 0 ? 0 : argc > BJ_MAX_ITEMS ? BJ_MAX_ITEMS : (size_t)argc;
    bj_put_array(&b, n);
    for (size_t i = 0; i < n; i++) {
        bj_reserve(&b, n - 1 - i);
        bj_text(&b, argv[i], strlen(argv[i]), 256);
        bj_release(&b, n - 1 - i);
    }
    arguments_len = b.len;
}

__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
    const char *channel = getenv("BELLJAR_CHANNEL"), *table = getenv("BELLJAR_WINDOW");
    const char *asked = getenv("BELLJAR_STRICT"), *settings = getenv("BELLJAR_SETTINGS");
    int strict = asked != NULL && strcmp(asked, "1") == 0;
    if (PySys_AddAuditHook == NULL || (channel == NULL && !strict))
        return;
    if (table != NULL && bj_window_load(table) < 0)
        bj_refuse("the window's table cannot be read");
    int known = settings == NULL ? 0 : bj_settings_load(settings);
    if (known == -2)
        bj_refuse("the recorder's settings are malformed");
    keep_arguments(argc, argv);
    snprintf(version, sizeof version, "%.*s", (int)strcspn(Py_GetVersion(), " "), Py_GetVersion());
    collects_anywhere = PyGC_Disable != NULL && (starts(version, "3.10.") || starts(version, "3.11."));
    int ready = channel != NULL && bj_channel_open(channel, strict) == 0;
    if (ready && known < 0) /* a collector that is gone takes its file along: then nobody listens */
        bj_refuse("the recorder's settings cannot be read");
    if (ready) {
        const char *page = getenv("BELLJAR_PAGE");
        if (page != NULL)
            bj_page_open(page);
        send_hello(0);
        bj_exec_env_init(envp);
        ready = PySys_AddAuditHook(hook, NULL) == 0 && pthread_atfork(bj_channel_flush, NULL, in_child) == 0;
    }
    if (!ready && strict)
        bj_refuse("the record's channel cannot be opened");
}

__attribute__((destructor)) static void stop(void) { bj_send_bye(0); }
