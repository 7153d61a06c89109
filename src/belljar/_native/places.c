/* Whose code is this: the program's, the standard library's, the import machinery's? By the name
 * of its file; remembered, with a reference, for code of the library that comes again and again,
 * so that walking past it costs a comparison. */
#include <stdatomic.h>
#include <string.h>

#include "stack.h"

enum { KNOWN = 512 };

void Py_IncRef(PyObject *) BJ_WEAK;

static struct {
    PyObject *code; /* a reference */
    enum bj_place place;
    const PyObject *seen; /* only ever compared */
} known[KNOWN];
static atomic_flag busy = ATOMIC_FLAG_INIT;

static int is_boot(const char *file, size_t len)
{
    static const char tail[] = "/sandbox/guest/boot.py";
    size_t end = sizeof tail - 1;
    return strcmp(file, "/belljar/boot.py") == 0 ||
           (len >= end && strcmp(file + len - end, tail) == 0);
}

/* The standard library, wherever it lies: `.../lib/python3.11/x.py`, not what was installed; and
 * what is frozen into the interpreter. */
static enum bj_place judge(const char *file, size_t len)
{
    static const char frozen[] = "<frozen ", machinery[] = "<frozen importlib";
    if (file[0] == '<') {
        if (strncmp(file, machinery, sizeof machinery - 1) == 0)
            return BJ_MACHINERY;
        return strncmp(file, frozen, sizeof frozen - 1) == 0 ? BJ_LIBRARY : BJ_PROGRAM;
    }
    const char *at = strstr(file, "/lib/python3.");
    if (at == NULL)
        at = strstr(file, "/lib64/python3.");
    if (at != NULL && strstr(at, "/site-packages/") == NULL && strstr(at, "/dist-packages/") == NULL)
        return BJ_LIBRARY;
    return is_boot(file, len) ? BJ_LIBRARY : BJ_PROGRAM;
}

static size_t slot_of(const PyObject *code)
{
    return ((uintptr_t)code / 16 ^ (uintptr_t)code / 8192) % KNOWN;
}

void bj_places_forget(void)
{
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        ;
    memset(known, 0, sizeof known);
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

static void learn(PyObject *code, enum bj_place place)
{
    size_t slot = slot_of(code);
    if (!bj_may_keep() || atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        return;
    PyObject *old = known[slot].code;
    int again = known[slot].seen == code;
    known[slot].seen = code;
    if (again && (old == NULL || bj_release_later(old) == 0)) {
        Py_IncRef(code);
        known[slot].code = code;
        known[slot].place = place;
    }
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

enum bj_place bj_place_of(PyObject *code, PyObject **file)
{
    size_t slot = slot_of(code);
    *file = NULL;
    if (!atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {
        int found = known[slot].code == code;
        enum bj_place place = known[slot].place;
        atomic_flag_clear_explicit(&busy, memory_order_release);
        if (found) /* the reference keeps the address its own */
            return place;
    }
    *file = bj_attribute(code, BJ_FILE_NAME);
    Py_ssize_t len = 0;
    const char *text = NULL;
    if (*file != NULL && bj_exactly(*file, &PyUnicode_Type))
        text = PyUnicode_AsUTF8AndSize(*file, &len);
    if (text == NULL) {
        PyErr_Clear();
        return BJ_PROGRAM;
    }
    enum bj_place place = judge(text, (size_t)len);
    if (place != BJ_PROGRAM)
        learn(code, place);
    return place;
}
