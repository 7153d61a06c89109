/* Simple local variables of a frame, without running guest code. Functions: by PyFrame_GetVar
 * (3.12), because reading `f_locals` earlier merges into a dict that the program may have filled.
 * Module bodies: their namespace, where it is exactly a dict and the code has no variables of its
 * own that would be merged into it. Everything else has none. */
#include <string.h>

#include "stack.h"

enum { MOST = 8, NAME = 64, TEXT = 64, LOOKED_AT = 64, OPTIMIZED = 1 };

PyObject *PyFrame_GetVar(PyObject *, PyObject *) BJ_WEAK; /* 3.12 */
int PyDict_Next(PyObject *, Py_ssize_t *, PyObject **, PyObject **) BJ_WEAK;

/* Better one name too many: what looks like a secret is named, never told. */
static int is_secret(const char *name, size_t len)
{
    static const char *const words[] = {"pass", "pwd",  "secret",  "token",   "key",  "cred",
                                        "auth", "cook", "private", "session", "salt", "otp", "pin"};
    char lower[NAME + 1];
    for (size_t i = 0; i < len; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    lower[len] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(lower, words[i]) != NULL)
            return 1;
    return 0;
}

static int is_simple(PyObject *o)
{
    static const void *const types[] = {&PyBool_Type, &PyLong_Type, &PyFloat_Type, &PyUnicode_Type,
                                        &PyBytes_Type};
    if (o == Py_None)
        return 1;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (bj_exactly(o, types[i]))
            return 1;
    return 0;
}

static int put_pair(struct bj_buf *b, PyObject *name, PyObject *value)
{
    Py_ssize_t len = 0;
    const char *text = bj_exactly(name, &PyUnicode_Type) ? PyUnicode_AsUTF8AndSize(name, &len) : NULL;
    if (text == NULL || len > NAME || strlen(text) != (size_t)len || text[0] == '.' ||
        strncmp(text, "__", 2) == 0 || !is_simple(value)) {
        PyErr_Clear();
        return 0;
    }
    if (b->cap - b->len < (size_t)len + 2 + TEXT + 24)
        return 0;
    bj_put_str(b, text, (size_t)len);
    if (is_secret(text, (size_t)len))
        bj_put_nil(b);
    else
        bj_value(b, value, TEXT, 1);
    return 1;
}

static int of_function(struct bj_buf *b, PyObject *frame, PyObject *code)
{
    PyObject *names = bj_attribute(code, BJ_VARNAMES);
    int count = 0;
    Py_ssize_t n = names != NULL && bj_exactly(names, &PyTuple_Type) ? PyTuple_Size(names) : 0;
    for (Py_ssize_t i = 0; i < n && i < LOOKED_AT && count < MOST; i++) {
        PyObject *name = PyTuple_GetItem(names, i), *value = NULL;
        if (bj_exactly(name, &PyUnicode_Type))
            value = PyFrame_GetVar(frame, name);
        if (value != NULL)
            count += put_pair(b, name, value);
        PyErr_Clear(); /* not bound yet */
        Py_DecRef(value);
    }
    Py_DecRef(names);
    return count;
}

static int has_none(PyObject *code, enum bj_attribute which)
{
    PyObject *names = bj_attribute(code, which);
    int none = names != NULL && bj_exactly(names, &PyTuple_Type) && PyTuple_Size(names) == 0;
    Py_DecRef(names);
    return none;
}

static int of_module(struct bj_buf *b, PyObject *frame, PyObject *code)
{
    /* Without the global lock another thread may change the dict beneath us. */
    if (strstr(Py_GetVersion(), "free-threading") != NULL || !has_none(code, BJ_VARNAMES) ||
        !has_none(code, BJ_FREEVARS) || !has_none(code, BJ_CELLVARS))
        return 0;
    PyObject *names = bj_attribute(frame, BJ_LOCALS), *name, *value;
    Py_ssize_t at = 0;
    int count = 0;
    if (names != NULL && bj_exactly(names, &PyDict_Type))
        for (int i = 0; i < LOOKED_AT && count < MOST && PyDict_Next(names, &at, &name, &value); i++)
            count += put_pair(b, name, value);
    Py_DecRef(names);
    return count;
}

int bj_put_locals(struct bj_buf *b, PyObject *frame, PyObject *code)
{
    PyObject *number = bj_attribute(code, BJ_FLAGS);
    int overflow = 0;
    long long flags = number == NULL ? OPTIMIZED : PyLong_AsLongLongAndOverflow(number, &overflow);
    Py_DecRef(number);
    size_t head = b->len;
    if (bj_put(b, 0xdc, 0, 2) < 0)
        return 0;
    int count = 0;
    if (flags & OPTIMIZED)
        count = PyFrame_GetVar != NULL ? of_function(b, frame, code) : 0;
    else
        count = of_module(b, frame, code);
    b->data[head + 2] = (unsigned char)(2 * count);
    if (count == 0)
        b->len = head;
    return count;
}
