/* Where in the program's source an event was raised, through public functions alone. */
#ifndef BELLJAR_STACK_H
#define BELLJAR_STACK_H
#include <string.h>

#include "encode.h"

#define BJ_THREAD static __thread __attribute__((tls_model("initial-exec")))

enum { BJ_FILE_TEXT = 512, BJ_NAME_TEXT = 128, BJ_DEEPEST = 24 };
enum bj_attribute { BJ_CODE, BJ_BACK, BJ_FILE, BJ_NAME, BJ_ATTRIBUTES };

/* In 3.8 reading an attribute of a frame is itself an event (object.__getattr__), which the
 * hook must not answer by reading again. */
BJ_THREAD int bj_asking;

static inline int bj_has_thread_state(void)
{
    if (PyThreadState_GetUnchecked != NULL)
        return PyThreadState_GetUnchecked() != NULL;
    return _PyThreadState_UncheckedGet != NULL && _PyThreadState_UncheckedGet() != NULL;
}

/* Interned names make attributes four times as fast. They are kept for each thread and belong
 * to one interpreter: when the thread enters another they are forgotten, not released, because
 * theirs may be gone. */
static inline PyObject *bj_interned(enum bj_attribute which)
{
    static const char *const spelled[] = {"f_code", "f_back", "co_filename", "co_name"};
    BJ_THREAD PyObject *names[BJ_ATTRIBUTES];
    BJ_THREAD long long owner;
    long long here = PyInterpreterState_Get ? PyInterpreterState_GetID(PyInterpreterState_Get()) : 0;
    if (owner != here + 1) {
        memset(names, 0, sizeof names);
        owner = here + 1;
    }
    if (names[which] == NULL)
        names[which] = PyUnicode_InternFromString(spelled[which]);
    return names[which];
}

/* An attribute of a frame or code object: C code alone, their types cannot be patched. */
static inline PyObject *bj_attribute(PyObject *o, enum bj_attribute which)
{
    PyObject *name = bj_interned(which), *value = NULL;
    bj_asking = 1;
    if (name != NULL)
        value = PyObject_GetAttr(o, name);
    bj_asking = 0;
    if (value == NULL)
        PyErr_Clear();
    return value;
}

static inline int bj_is_importlib(PyObject *file)
{
    static const char frozen[] = "<frozen importlib";
    const char *text = NULL;
    if (file != NULL && bj_exactly(file, &PyUnicode_Type)) {
        text = PyUnicode_AsUTF8AndSize(file, NULL);
        if (text == NULL)
            PyErr_Clear();
    }
    return text != NULL && strncmp(text, frozen, sizeof frozen - 1) == 0;
}

/* The nearest frame that is not of the import machinery. */
static inline void bj_put_frame(struct bj_buf *b)
{
    PyObject *frame = PyEval_GetFrame(), *held = NULL, *code = NULL, *file = NULL;
    for (int depth = 0; frame != NULL && frame != Py_None && depth < BJ_DEEPEST; depth++) {
        code = PyFrame_GetCode ? PyFrame_GetCode(frame) : bj_attribute(frame, BJ_CODE);
        file = code == NULL ? NULL : bj_attribute(code, BJ_FILE);
        if (!bj_is_importlib(file))
            break;
        Py_DecRef(code);
        Py_DecRef(file);
        code = file = NULL;
        PyObject *next = PyFrame_GetBack ? PyFrame_GetBack(frame) : bj_attribute(frame, BJ_BACK);
        Py_DecRef(held);
        frame = held = next;
    }
    PyObject *name = code == NULL ? NULL : bj_attribute(code, BJ_NAME);
    if (file == NULL || name == NULL) {
        bj_put_nil(b);
    } else {
        bj_put_array(b, 3);
        bj_value(b, file, BJ_FILE_TEXT, BJ_MAX_DEPTH);
        bj_put_int(b, PyFrame_GetLineNumber(frame));
        bj_value(b, name, BJ_NAME_TEXT, BJ_MAX_DEPTH);
    }
    Py_DecRef(name);
    Py_DecRef(file);
    Py_DecRef(code);
    Py_DecRef(held);
}
#endif
