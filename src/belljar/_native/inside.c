/* Readers of the recorder in this very process, for `belljar.watching()`. The recorder is one for
 * the process, whatever number of interpreters there is, and stays loaded: an audit hook cannot
 * be removed. */
#include "module.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "here.h"

static const struct bj_here *_Atomic recorder;

/* From C, not with ctypes: that would raise events. */
static const struct bj_here *load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const struct bj_here *found = library == NULL ? NULL : dlsym(library, "belljar_here");
    if (found == NULL) {
        const char *why = dlerror();
        PyErr_Format(PyExc_OSError, "the recorder cannot be loaded: %s", why != NULL ? why : path);
    }
    return found;
}

/* reader_open(library, patterns, limit, stacks) -> number */
PyObject *bj_reader_open(PyObject *self, PyObject *args)
{
    (void)self;
    const char *path = NULL, *patterns = NULL;
    Py_ssize_t size = 0, limit = 0;
    int stacks = 0;
    if (!PyArg_ParseTuple(args, "sy#ni:reader_open", &path, &patterns, &size, &limit, &stacks))
        return NULL;
    if (size < 1 || patterns[size - 1] != '\0' || limit < 0 || stacks < 0 || stacks > 32) {
        PyErr_SetString(PyExc_ValueError, "patterns each end with NUL; limit and stacks are counts");
        return NULL;
    }
    if (recorder == NULL)
        recorder = load(path);
    if (recorder == NULL)
        return NULL;
    long number = recorder->open(patterns, (size_t)size, (size_t)limit, stacks);
    if (number >= 0)
        return PyLong_FromLong(number);
    if (number == BJ_HERE_MEMORY)
        return PyErr_NoMemory();
    if (PyErr_Occurred())
        return NULL;
    if (number == BJ_HERE_REFUSED)
        PyErr_SetString(PyExc_RuntimeError, "an audit hook of this process refused the recorder's");
    else
        PyErr_SetString(PyExc_OSError, "the recorder does not see this interpreter's functions");
    return NULL;
}

/* reader_take(number, released) -> (frames, drops) */
PyObject *bj_reader_take(PyObject *self, PyObject *args)
{
    (void)self;
    long number = 0;
    Py_ssize_t released = 0;
    if (!PyArg_ParseTuple(args, "ln:reader_take", &number, &released))
        return NULL;
    unsigned char *data = NULL;
    size_t size = 0;
    uint64_t drops = 0;
    if (released < 0 || recorder == NULL || recorder->take(number, (size_t)released, &data, &size, &drops) < 0) {
        PyErr_SetString(PyExc_ValueError, "there is no such reader");
        return NULL;
    }
    PyObject *result = Py_BuildValue("(y#K)", data != NULL ? (char *)data : "", (Py_ssize_t)size, (unsigned long long)drops);
    free(data);
    return result;
}

/* reader_close(number): closing again does nothing */
PyObject *bj_reader_close(PyObject *self, PyObject *args)
{
    (void)self;
    long number = 0;
    if (!PyArg_ParseTuple(args, "l:reader_close", &number))
        return NULL;
    if (recorder != NULL)
        recorder->close(number);
    return Py_BuildValue("");
}

/* open_window(library, table): refusals of files with a reason, from here on */
PyObject *bj_open_window(PyObject *self, PyObject *args)
{
    (void)self;
    const char *path = NULL, *table = NULL;
    if (!PyArg_ParseTuple(args, "sy:open_window", &path, &table))
        return NULL;
    if (recorder == NULL)
        recorder = load(path);
    if (recorder == NULL)
        return NULL;
    int done = recorder->window(table);
    if (done == 0)
        return Py_BuildValue("");
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_OSError, done == BJ_HERE_REFUSED ? "an audit hook of this process refused the recorder's"
                                                                : "the window's table was not understood");
    return NULL;
}
