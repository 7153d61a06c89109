/* What the recorder wrote, as Python values: exactly None, bool, int, float, str, bytes, tuples of
 * them and what `extension` makes. Ours because every run and every watch reads its first frames
 * while the program starts: importing a library for that took longer than half a Python's start. */
#include "module.h"
#include "tokens.h"

struct reading {
    const unsigned char *data;
    size_t size, at;
    PyObject *extension;
    int deepest;
    size_t longest;
};

static PyObject *malformed(const struct reading *r, const char *what)
{
    PyErr_Format(PyExc_ValueError, "%s at byte %zu", what, r->at);
    return NULL;
}

static PyObject *value(struct reading *r, int depth);

static PyObject *items(struct reading *r, size_t count, int depth)
{
    if (depth >= r->deepest || count > r->longest)
        return malformed(r, "an array that is too deep or too long");
    if (count > r->size - r->at) /* each takes a byte at least */
        return malformed(r, "an array that is cut short");
    PyObject *tuple = PyTuple_New((Py_ssize_t)count);
    for (size_t i = 0; tuple != NULL && i < count; i++) {
        PyObject *item = value(r, depth + 1);
        if (item == NULL || PyTuple_SetItem(tuple, (Py_ssize_t)i, item) < 0) {
            Py_DecRef(tuple);
            return NULL;
        }
    }
    return tuple;
}

static PyObject *value(struct reading *r, int depth)
{
    struct bj_token token;
    size_t taken = bj_token(r->data + r->at, r->size - r->at, &token);
    if (taken == 0)
        return malformed(r, r->at == r->size ? "it ends" : "no value");
    Py_ssize_t length = (Py_ssize_t)token.length;
    r->at += taken;
    switch (token.kind) {
    case BJ_NIL:
        return Py_NewRef(Py_None);
    case BJ_BOOL:
        return PyBool_FromLong((long)token.uint);
    case BJ_INT:
        return PyLong_FromLongLong(token.sint);
    case BJ_UINT:
        return PyLong_FromUnsignedLongLong(token.uint);
    case BJ_FLOAT:
        return PyFloat_FromDouble(token.real);
    case BJ_STR:
        return PyUnicode_DecodeUTF8(token.at, length, NULL);
    case BJ_BIN:
        return PyBytes_FromStringAndSize(token.at, length);
    case BJ_EXT:
        return PyObject_CallFunction(r->extension, "iy#", token.code, token.at, length);
    case BJ_ARRAY:
        return items(r, token.length, depth);
    }
    return malformed(r, "no value");
}

PyObject *bj_unpack(PyObject *self, PyObject *args)
{
    (void)self;
    struct reading r = {0};
    Py_ssize_t size = 0, longest = 0;
    if (!PyArg_ParseTuple(args, "y#Oin:unpack", &r.data, &size, &r.extension, &r.deepest, &longest))
        return NULL;
    enum { DEEPEST = 64 }; /* far from what a thread's stack holds */
    if (r.deepest < 0 || r.deepest > DEEPEST || longest < 0) {
        PyErr_SetString(PyExc_ValueError, "depth must be 0 to 64 and items at least 0");
        return NULL;
    }
    r.size = (size_t)size;
    r.longest = (size_t)longest;
    PyObject *found = value(&r, 0);
    if (found != NULL && r.at < r.size) {
        Py_DecRef(found);
        return malformed(&r, "more than one value");
    }
    return found;
}
