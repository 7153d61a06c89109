#define _GNU_SOURCE
#include "stack.h"

#include <stdatomic.h>
#include <string.h>

#define THREAD static __thread __attribute__((tls_model("initial-exec")))

enum attribute { CODE, BACK, FILE_NAME, NAME, ATTRIBUTES };
enum { SITES = 32, ENCODED = 256 };

int Py_AddPendingCall(int (*)(void *), void *) BJ_WEAK;
void Py_IncRef(PyObject *) BJ_WEAK;
int PyFrame_GetLasti(PyObject *) BJ_WEAK; /* 3.11 */

THREAD int asking;

int bj_asking(void) { return asking; }

int bj_has_thread_state(void)
{
    if (PyThreadState_GetUnchecked != NULL)
        return PyThreadState_GetUnchecked() != NULL;
    return _PyThreadState_UncheckedGet != NULL && _PyThreadState_UncheckedGet() != NULL;
}

static long long interpreter(void)
{
    return PyInterpreterState_Get ? PyInterpreterState_GetID(PyInterpreterState_Get()) : 0;
}

/* Interned names make attributes four times as fast. They are kept for each thread and belong
 * to one interpreter: when the thread enters another they are forgotten, not released, because
 * theirs may be gone. */
static PyObject *interned(enum attribute which)
{
    static const char *const spelled[] = {"f_code", "f_back", "co_filename", "co_name"};
    THREAD PyObject *names[ATTRIBUTES];
    THREAD long long owner;
    long long here = interpreter();
    if (owner != here + 1) {
        memset(names, 0, sizeof names);
        owner = here + 1;
    }
    if (names[which] == NULL)
        names[which] = PyUnicode_InternFromString(spelled[which]);
    return names[which];
}

/* An attribute of a frame or code object: C code alone, their types cannot be patched. */
static PyObject *attribute(PyObject *o, enum attribute which)
{
    PyObject *name = interned(which), *value = NULL;
    asking = 1;
    if (name != NULL)
        value = PyObject_GetAttr(o, name);
    asking = 0;
    if (value == NULL)
        PyErr_Clear();
    return value;
}

/* Which site of the program raises the same event again and again? Its encoded frame is kept,
 * with a reference to its code object, once it was seen twice in a row. What is displaced is
 * released by the interpreter's main loop, never here: that may run finalizers. */
struct site {
    PyObject *code;
    int instruction;
    unsigned size;
    unsigned char bytes[ENCODED];
};

static struct site sites[SITES];
static struct {
    const PyObject *code; /* only ever compared */
    int instruction;
} seen[SITES];
static atomic_flag busy = ATOMIC_FLAG_INIT; /* there are interpreters without a global lock */

static int release(void *code)
{
    Py_DecRef(code);
    return 0;
}

static size_t slot_of(const PyObject *code, int instruction)
{
    return ((uintptr_t)code / 16 ^ (uintptr_t)code / 4096 ^ (unsigned)instruction) % SITES;
}

static int put_known(struct bj_buf *b, const PyObject *code, int instruction)
{
    const struct site *site = &sites[slot_of(code, instruction)];
    int found = 0;
    if (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        return 0;
    if (site->code == code && site->instruction == instruction && b->cap - b->len >= site->size) {
        memcpy(bj_room(b, site->size), site->bytes, site->size);
        found = 1;
    }
    atomic_flag_clear_explicit(&busy, memory_order_release);
    return found;
}

static void learn(PyObject *code, int instruction, const unsigned char *bytes, size_t size)
{
    size_t slot = slot_of(code, instruction);
    struct site *site = &sites[slot];
    if (size > ENCODED || atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        return;
    int again = seen[slot].code == code && seen[slot].instruction == instruction;
    seen[slot].code = code;
    seen[slot].instruction = instruction;
    if (again && (site->code == NULL || Py_AddPendingCall(release, site->code) == 0)) {
        Py_IncRef(code);
        site->code = code;
        site->instruction = instruction;
        site->size = (unsigned)size;
        memcpy(site->bytes, bytes, size);
    }
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

static const char *text_of(PyObject *file)
{
    const char *text = NULL;
    if (file != NULL && bj_exactly(file, &PyUnicode_Type)) {
        text = PyUnicode_AsUTF8AndSize(file, NULL);
        if (text == NULL)
            PyErr_Clear();
    }
    return text != NULL ? text : "";
}

static int is_importlib(const char *file)
{
    static const char frozen[] = "<frozen importlib";
    return file[0] == '<' && strncmp(file, frozen, sizeof frozen - 1) == 0;
}

static int is_boot(const char *file)
{
    static const char tail[] = "/sandbox/guest/boot.py";
    size_t len = strlen(file), end = sizeof tail - 1;
    return strcmp(file, "/belljar/boot.py") == 0 ||
           (len >= end && strcmp(file + len - end, tail) == 0);
}

/* The standard library, wherever it lies: `.../lib/python3.11/x.py`, not what was installed. */
static int is_library(const char *file)
{
    const char *at = strstr(file, "/lib/python3.");
    return at != NULL && strstr(at, "/site-packages/") == NULL && strstr(at, "/dist-packages/") == NULL;
}

static PyObject *code_of(PyObject *frame)
{
    return PyFrame_GetCode ? PyFrame_GetCode(frame) : attribute(frame, CODE);
}

/* Writes the nearest frame that is not passed over; 0 where there is none. */
static int put_nearest(struct bj_buf *b, int beyond)
{
    PyObject *frame = PyEval_GetFrame(), *held = NULL, *code = NULL, *file = NULL;
    int cached = !beyond && PyFrame_GetLasti && Py_AddPendingCall && interpreter() == 0;
    int instruction = 0, found = 0;
    for (int depth = 0; frame != NULL && frame != Py_None && depth < BJ_DEEPEST; depth++) {
        code = code_of(frame);
        if (cached && code != NULL && depth == 0) {
            instruction = PyFrame_GetLasti(frame);
            if (put_known(b, code, instruction)) {
                Py_DecRef(code);
                return 1;
            }
        }
        file = code == NULL ? NULL : attribute(code, FILE_NAME);
        const char *text = text_of(file);
        if (!is_importlib(text) && !(beyond && (is_boot(text) || is_library(text))))
            break;
        cached = 0;
        Py_DecRef(code);
        Py_DecRef(file);
        code = file = NULL;
        PyObject *next = PyFrame_GetBack ? PyFrame_GetBack(frame) : attribute(frame, BACK);
        Py_DecRef(held);
        frame = held = next;
    }
    PyObject *name = code == NULL ? NULL : attribute(code, NAME);
    if (file != NULL && name != NULL) {
        size_t before = b->len;
        int cut = b->cut;
        b->cut = 0;
        bj_put_array(b, 3);
        bj_value(b, file, BJ_FILE_TEXT, BJ_MAX_DEPTH);
        bj_put_int(b, PyFrame_GetLineNumber(frame));
        bj_value(b, name, BJ_NAME_TEXT, BJ_MAX_DEPTH);
        if (cached && !b->cut)
            learn(code, instruction, b->data + before, b->len - before);
        b->cut |= cut;
        found = 1;
    }
    Py_DecRef(name);
    Py_DecRef(file);
    Py_DecRef(code);
    Py_DecRef(held);
    return found;
}

void bj_put_frame(struct bj_buf *b, int beyond)
{
    if (beyond && put_nearest(b, 1))
        return;
    if (!put_nearest(b, 0))
        bj_put_nil(b);
}
