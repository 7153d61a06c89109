/* Where in the program's source an event was raised, through public functions alone. */
#ifndef BELLJAR_STACK_H
#define BELLJAR_STACK_H
#include <string.h>

#include "encode.h"

enum { BJ_FILE_TEXT = 512, BJ_NAME_TEXT = 128, BJ_DEEPEST = 24 };

static inline int bj_has_thread_state(void)
{
    if (PyThreadState_GetUnchecked != NULL)
        return PyThreadState_GetUnchecked() != NULL;
    return _PyThreadState_UncheckedGet != NULL && _PyThreadState_UncheckedGet() != NULL;
}

static inline void put_attribute(struct bj_buf *b, PyObject *o, const char *name, size_t max)
{
    PyObject *value = PyObject_GetAttrString(o, name);
    if (value == NULL) {
        PyErr_Clear();
        bj_put_nil(b);
    } else {
        bj_value(b, value, max, BJ_MAX_DEPTH);
    }
    Py_DecRef(value);
}

/* 3.8 has no functions for these, and reading a frame's attribute there is itself an event
 * (object.__getattr__), which the hook must not answer by reading again. */
static __thread int bj_asking __attribute__((tls_model("initial-exec")));

static inline PyObject *ask(PyObject *frame, const char *name)
{
    bj_asking = 1;
    PyObject *value = PyObject_GetAttrString(frame, name);
    bj_asking = 0;
    return value;
}

static inline PyObject *code_of(PyObject *frame)
{
    return PyFrame_GetCode ? PyFrame_GetCode(frame) : ask(frame, "f_code");
}

static inline PyObject *back_of(PyObject *frame)
{
    return PyFrame_GetBack ? PyFrame_GetBack(frame) : ask(frame, "f_back");
}

static inline int is_importlib(PyObject *code)
{
    static const char frozen[] = "<frozen importlib";
    Py_ssize_t len = 0;
    PyObject *file = PyObject_GetAttrString(code, "co_filename");
    int yes = 0;
    if (file != NULL && bj_exactly(file, &PyUnicode_Type)) {
        const char *text = PyUnicode_AsUTF8AndSize(file, &len);
        yes = text != NULL && strncmp(text, frozen, sizeof frozen - 1) == 0;
    }
    Py_DecRef(file);
    PyErr_Clear();
    return yes;
}

/* The nearest frame that is not of the import machinery. */
static inline void bj_put_frame(struct bj_buf *b)
{
    PyObject *frame = PyEval_GetFrame(), *held = NULL, *code = NULL;
    for (int depth = 0; frame != NULL && frame != Py_None && depth < BJ_DEEPEST; depth++) {
        code = code_of(frame);
        if (code == NULL || !is_importlib(code))
            break;
        Py_DecRef(code);
        code = NULL;
        PyObject *next = back_of(frame);
        Py_DecRef(held);
        frame = held = next;
    }
    if (code == NULL) {
        PyErr_Clear();
        bj_put_nil(b);
    } else {
        bj_put_array(b, 3);
        put_attribute(b, code, "co_filename", BJ_FILE_TEXT);
        bj_put_int(b, PyFrame_GetLineNumber(frame));
        put_attribute(b, code, "co_name", BJ_NAME_TEXT);
    }
    Py_DecRef(code);
    Py_DecRef(held);
}
#endif
