#include "bytecode.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "stack.h"

enum { PLACES = 16, LONGEST = 1024 };

static char places[PLACES][LONGEST];
static int count;
static atomic_int state; /* 0: nobody said what the runtime is; 1: someone does; 2: it is known */

enum bj_makes bj_makes(const char *name)
{
    if (strcmp(name, "code.__new__") == 0 || strcmp(name, "function.__new__") == 0)
        return BJ_MAKES_CODE;
    if (strcmp(name, "marshal.loads") == 0 || strcmp(name, "marshal.load") == 0)
        return BJ_UNMARSHALS;
    return strcmp(name, "belljar.runtime") == 0 ? BJ_SAYS_RUNTIME : BJ_MAKES_NOTHING;
}

int bj_bytecode_guard(PyObject *args)
{
    int fresh = 0;
    if (args == NULL || !atomic_compare_exchange_strong(&state, &fresh, 1))
        return 0;
    Py_ssize_t n = PyTuple_Size(args);
    for (Py_ssize_t i = 0; i < n && count < PLACES; i++) {
        PyObject *one = PyTuple_GetItem(args, i);
        Py_ssize_t len = 0;
        const char *text = bj_exactly(one, &PyUnicode_Type) ? PyUnicode_AsUTF8AndSize(one, &len) : NULL;
        if (text == NULL)
            PyErr_Clear();
        else if (len > 1 && len < LONGEST && text[len - 1] == '/')
            memcpy(places[count++], text, (size_t)len + 1);
    }
    atomic_store(&state, 2);
    return 1;
}

static int begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* By the name that the code gives its file, which crafted code may choose: a window. */
static int is_of_the_runtime(const char *file)
{
    for (int i = 0; i < count; i++)
        if (begins(file, places[i]))
            return 1;
    return begins(file, "/belljar/"); /* the guest's first lines */
}

/* `pkgutil.read_code` reads whatever file it is given: compiled ones of the guest's own for runpy. */
static int reads_for_others(PyObject *code)
{
    PyObject *name = bj_attribute(code, BJ_NAME);
    const char *text = NULL;
    if (name != NULL && bj_exactly(name, &PyUnicode_Type))
        text = PyUnicode_AsUTF8AndSize(name, NULL);
    int found = text != NULL && strcmp(text, "read_code") == 0;
    PyErr_Clear();
    if (name != NULL)
        Py_DecRef(name);
    return found;
}

int bj_bytecode_may(enum bj_makes makes)
{
    PyObject *frame = atomic_load(&state) == 2 ? PyEval_GetFrame() : NULL;
    PyObject *code = frame == NULL ? NULL : bj_attribute(frame, BJ_CODE);
    if (code == NULL) {
        PyErr_Clear();
        return 1;
    }
    PyObject *file = bj_attribute(code, BJ_FILE_NAME);
    const char *text = NULL;
    if (file != NULL && bj_exactly(file, &PyUnicode_Type))
        text = PyUnicode_AsUTF8AndSize(file, NULL);
    PyErr_Clear();
    int may = 0;
    if (text != NULL && begins(text, "<frozen "))
        may = 1; /* the import system, which looks at the path first */
    else if (text != NULL && is_of_the_runtime(text))
        may = makes != BJ_UNMARSHALS || !reads_for_others(code);
    if (file != NULL)
        Py_DecRef(file);
    Py_DecRef(code);
    return may;
}

void bj_bytecode_raise(void)
{
    PyObject *error = PyObject_CallFunction(
        PyExc_OSError, "is", EACCES,
        "Permission denied: code that is not compiled from source here; the grant that allows it is --bytecode");
    if (error == NULL)
        return; /* no memory: that exception is set, and refuses as well */
    PyObject *type = PyObject_Type(error);
    PyErr_SetObject(type, error);
    Py_DecRef(type);
    Py_DecRef(error);
}
