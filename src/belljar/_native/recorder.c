/* The recorder: preloaded into every process, awake only inside CPython >= 3.8. It adds an audit
 * hook before the interpreter initialises and writes each event out before the operation it
 * announces proceeds. Nothing here runs guest code or trusts the guest's objects. */
#define _GNU_SOURCE
#include "recorder.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "branch.h"
#include "bytecode.h"
#include "copies.h"
#include "hookmem.h"
#include "edits.h"
#include "event.h"
#include "family.h"
#include "here.h"
#include "narrow.h"
#include "often.h"
#include "opens.h"
#include "pieces.h"
#include "settings.h"
#include "silence.h"
#include "stack.h"
#include "starts.h"

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

static int starts(const char *name, const char *with) { return strncmp(name, with, strlen(with)) == 0; }

/* A rule outside decided against the event. */
static void raise_refusal(const char *name, int answer)
{
    char text[256];
    if (answer == BJ_DENY)
        snprintf(text, sizeof text, "Permission denied: %.128s is refused by a rule", name);
    else
        snprintf(text, sizeof text, "Permission denied: the record did not acknowledge %.128s in time",
                 name);
    PyObject *error = PyObject_CallFunction(PyExc_OSError, "is", EACCES, text);
    if (error == NULL)
        return; /* no memory: that exception is set, and refuses as well */
    PyObject *type = PyObject_Type(error);
    PyErr_SetObject(type, error);
    Py_DecRef(type);
    Py_DecRef(error);
}

_Noreturn static void end_here(void)
{
    bj_send_bye(BJ_LAST); /* it was told to end */
    for (;;)
        syscall(SYS_kill, (pid_t)syscall(SYS_getpid), SIGKILL);
}

/* What the settings say; imports that load native code have a name of their own there, so that
 * waiting for those does not mean waiting for every import. */
static int action_of(const struct bj_name *known, const char *name, PyObject *args)
{
    if (known->action == BJ_MUST_ASK || name[0] != 'i' || strcmp(name, "import") != 0)
        return known->action;
    if (!bj_has_thread_state() || args == NULL || PyTuple_Size(args) < 2 || PyTuple_GetItem(args, 1) == Py_None)
        return known->action;
    return bj_select("import/native") == BJ_MUST_ASK ? BJ_MUST_ASK : known->action;
}

static int hear(const char *name, PyObject *args)
{
    if (name[0] == 'c' && strcmp(name, BJ_LAST_EVENT) == 0)
        bj_hookmem_ending(), Py_IsInitialized() ? (void)0 : bj_silence_end();
    struct bj_name spare;
    int out = bj_channel_is_open(), here = bj_here_wants(name);
    if (!out && bj_settings.asks && !bj_asking() && bj_has_thread_state() &&
        action_of(bj_know(name, &spare), name, args) == BJ_MUST_ASK) {
        raise_refusal(name, 0); /* whoever was to be asked is gone: what had to wait is refused */
        return -1;
    }
    int windowed = bj_window_is_open();
    if ((!out && !here && !windowed) || bj_asking())
        return 0;
    bj_edits_watch(name);
    const struct bj_name *known = bj_know(name, &spare);
    int urgent = known->flags & BJ_NAME_URGENT, flags = 0;
    int action = action_of(known, name, args), by_hand = 0;
    if (known->makes && windowed && !bj_window_is_own() && bj_has_thread_state()) {
        if (known->makes == BJ_SAYS_RUNTIME && bj_bytecode_guard(args))
            return 0;
        by_hand = !bj_bytecode_may((enum bj_makes)known->makes);
        urgent |= by_hand;
    }
    bj_silence_heard();
    bj_starts_heard(known);
    bj_open_announced = known->file != NULL && known->file->need[0] == 'o';
    if (known->flags & BJ_NAME_RESTORE)
        bj_exec_env_restore();
    /* What the window judges is recorded, whatever the settings say. */
    if (action == BJ_SKIP && !(windowed && (urgent || known->file != NULL))) {
        if (!here)
            return 0;
        out = 0;
    }
    if (known->often && out && bj_often_counts(known->often, args)) {
        if (!here)
            return 0;
        out = 0;
    }
    int alive = bj_has_thread_state(), collecting = 0, answer = BJ_ALLOW;
    int asks = alive && out && action == BJ_MUST_ASK;
    PyObject *type = NULL, *value = NULL, *trace = NULL;
    if (alive && PyErr_Occurred())
        PyErr_Fetch(&type, &value, &trace);
    if (alive && collects_anywhere)
        collecting = PyGC_Disable();
    unsigned char frame[BJ_FRAME];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    enum bj_verdict verdict = BJ_PASS;
    if (windowed) {
        if (known->file != NULL && alive)
            verdict = bj_window_judge(known->file, args);
        urgent |= verdict != BJ_PASS;
        flags = urgent ? BJ_CHECK : 0;
        if (verdict > BJ_UNSURE || by_hand)
            flags |= BJ_REFUSED, asks = 0;
    }
    if (!urgent)
        flags |= BJ_BULK;
    bj_put_event(&b, known, name, args, alive, asks ? bj_answers_slot() : -1);
    flags |= b.cut ? BJ_TRUNCATED : 0;
    if (asks)
        answer = bj_channel_ask(frame, b.len - BJ_HEADER, flags & ~BJ_BULK);
    else if (out)
        bj_channel_send(frame, b.len - BJ_HEADER, BJ_EVENT, flags);
    if (answer == BJ_KILL)
        end_here();
    if (here)
        bj_here_keep(name, frame, b.len - BJ_HEADER, flags);
    if (collecting)
        PyGC_Enable();
    if (verdict <= BJ_UNSURE && !by_hand && answer == BJ_ALLOW) {
        if (type != NULL)
            PyErr_Restore(type, value, trace);
        return 0;
    }
    Py_DecRef(type), Py_DecRef(value), Py_DecRef(trace);
    if (verdict > BJ_UNSURE)
        bj_window_raise(known->file, args, verdict);
    else if (by_hand)
        bj_bytecode_raise();
    else
        raise_refusal(name, answer);
    return -1;
}

static int hook(const char *name, PyObject *args, void *unused)
{
    (void)unused;
    if (name[0] == 'b' && strcmp(name, BELLJAR_LAYER) == 0) { /* recorded by another name, once it stands */
        PyObject *told = bj_narrow(args);
        if (told == NULL)
            return -1;
        if (told != Py_None) {
            if (hear("belljar.narrow", told) < 0)
                PyErr_Clear(); /* no rule takes back what stands */
            return 0;
        }
    }
    int refused = hear(name, args);
    if (name[0] == 'c' && strcmp(name, BJ_LAST_EVENT) == 0 && !Py_IsInitialized())
        bj_send_bye(0); /* what comes now may be a signal by its own hand, as after Ctrl-C */
    if (refused == 0 && name[0] == 'b' && bj_branch_asked(name))
        return bj_branch(name, args);
    return refused == 0 && name[0] == 'o' ? bj_branch_forbids(name) : refused;
}

static int greeted;

int bj_has_greeted(void) { return greeted; }

static void send_hello(int flags)
{
    unsigned char frame[BJ_FRAME];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    bj_put_hello(&b, version, arguments, arguments_len, bj_channel_drops());
    bj_channel_send(frame, b.len - BJ_HEADER, BJ_HELLO, flags | (b.cut ? BJ_TRUNCATED : 0));
    greeted = 1;
}

void bj_send_bye(int flags)
{
    unsigned char frame[BJ_HEADER + 16];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    bj_copies_adopt();
    bj_silence_look();
    if (!bj_channel_is_open() || !bj_channel_is_ours())
        return;
    bj_often_tell();
    bj_put_array(&b, 1);
    bj_put_uint(&b, bj_channel_drops());
    bj_channel_send(frame, b.len - BJ_HEADER, BJ_BYE, flags);
}

void bj_forked(void)
{
    if (!bj_channel_is_open())
        return;
    bj_channel_after_fork();
    bj_often_forget();
    send_hello(BJ_FORKED);
}

static void in_child(void)
{
    if (bj_branch_is_quiet())
        return;
    bj_branch_begins();
    if (bj_copies_are_known())
        bj_copies_adopt();
    else
        bj_forked();
}

static void before_fork(void)
{
    bj_silence_look();
    bj_channel_flush();
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

static int word_count;
static char **words, **surroundings; /* the program's, as it was started */

static int added;

int bj_hook_is_there(void) { return added; }

void bj_hook_gone(void)
{
    added = 0;
    bj_stack_forget();
    bj_sites_forget();
    bj_places_forget();
    bj_family_forget();
}

int bj_hook_add(void)
{
    if (added)
        return 0;
    snprintf(version, sizeof version, "%.*s", (int)strcspn(Py_GetVersion(), " "), Py_GetVersion());
    collects_anywhere = PyGC_Disable != NULL && (starts(version, "3.10.") || starts(version, "3.11."));
    added = bj_hookmem_add(hook) == 0;
    return added ? 0 : -1;
}

static int attach(void)
{
    static int handled;
    if (bj_hook_add() < 0)
        return -1;
    if (!handled)
        handled = pthread_atfork(before_fork, bj_starts_forked, in_child) == 0;
    return handled ? 0 : -1;
}

int bj_record(const char *name, PyObject *args) { return hook(name, args, NULL); }

int bj_begin(const char *channel)
{
    const char *asked = getenv("BELLJAR_STRICT"), *settings = getenv("BELLJAR_SETTINGS");
    const char *page = getenv("BELLJAR_PAGE"), *table = getenv("BELLJAR_WINDOW");
    const char *answers = getenv("BELLJAR_ANSWERS");
    int strict = asked != NULL && strcmp(asked, "1") == 0;
    if (channel == NULL && !strict)
        return -1;
    if (table != NULL && bj_window_load(table) < 0)
        bj_refuse("the window's table cannot be read");
    if (table != NULL)
        pieces_begin();
    int known = settings == NULL ? 0 : bj_settings_load(settings);
    if (known == -2)
        bj_refuse("the recorder's settings are malformed");
    keep_arguments(word_count, words);
    int ready = channel != NULL && bj_channel_open(channel, strict) == 0;
    if (ready && known < 0) /* a collector that is gone takes its file along: then nobody listens */
        bj_refuse("the recorder's settings cannot be read");
    if (ready) {
        snprintf(version, sizeof version, "%.*s", (int)strcspn(Py_GetVersion(), " "), Py_GetVersion());
        if (page != NULL)
            bj_page_open(page);
        if (answers != NULL)
            bj_answers_open(answers); /* without them whoever asks is refused */
        send_hello(0);
        bj_exec_env_init(surroundings);
        bj_branch_begin();
        ready = attach() == 0;
    }
    if (!ready && strict)
        bj_refuse("the record's channel cannot be opened");
    return ready ? 0 : -1;
}

__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
    word_count = argc;
    words = argv;
    surroundings = envp;
    if (PySys_AddAuditHook == NULL || Py_IsInitialized())
        return; /* loaded later: belljar.watching() */
    bj_exec_env_told();
    surroundings = environ;
    if (getenv("BELLJAR_TEMPLATE") == NULL)
        bj_begin(getenv("BELLJAR_CHANNEL"));
    else if (pieces_begin(), attach() < 0) /* silent until a guest is forked: belljar_reborn() */
        bj_refuse("the recorder cannot be attached to the template");
}

/* Called by the zygote in a guest that it forked: from here on as if just started. Nothing was
 * recorded before, so there are no numbers, names or pages to forget. */
__attribute__((visibility("default"))) int belljar_reborn(int argc, char **argv, char **envp);
int belljar_reborn(int argc, char **argv, char **envp)
{
    if (bj_channel_is_open())
        return -1;
    word_count = argc;
    words = argv;
    surroundings = envp;
    return bj_begin(getenv("BELLJAR_CHANNEL"));
}

__attribute__((destructor)) static void stop(void)
{
    bj_silence_at_end();
    bj_send_bye(0);
}
