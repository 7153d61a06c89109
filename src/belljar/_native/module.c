/* The extension module `belljar._native._core`: limited API, multi-phase, no static state. */
#include "encode.h"
#include "module.h"

#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_NESTING = 64, DEFAULT_LIMIT = 1 << 20 };

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

static PyObject *landlock_abi(PyObject *self, PyObject *none)
{
    (void)self, (void)none;
    enum { ASK_VERSION = 1 };
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
    return PyLong_FromLong(abi < 0 ? 0 : abi);
}

static int exact(struct bj_buf *b, PyObject *o, int depth);

static int too_large(void)
{
    PyErr_SetString(PyExc_OverflowError, "value is larger than the limit");
    return -1;
}

static int exact_items(struct bj_buf *b, PyObject *o, int depth)
{
    Py_ssize_t n = PySequence_Size(o);
    if (n < 0 || bj_put_array(b, (size_t)n) < 0)
        return n < 0 ? -1 : too_large();
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PySequence_GetItem(o, i);
        int failed = item == NULL || exact(b, item, depth + 1) < 0;
        Py_XDECREF(item);
        if (failed)
            return -1;
    }
    return 0;
}

static int exact_dict(struct bj_buf *b, PyObject *o, int depth)
{
    PyObject *items = PyDict_Items(o);
    Py_ssize_t n = items == NULL ? -1 : PyList_Size(items);
    int failed = n < 0 || (bj_put_map(b, (size_t)n) < 0 && too_large());
    for (Py_ssize_t i = 0; i < n && !failed; i++) {
        PyObject *pair = PyList_GetItem(items, i); /* borrowed; the list is ours alone */
        PyObject *key = PyTuple_GetItem(pair, 0);
        if (!bj_exactly(key, &PyUnicode_Type)) {
            PyErr_SetString(PyExc_TypeError, "keys must be exactly str");
            failed = 1;
        } else {
            failed = exact(b, key, depth + 1) < 0 || exact(b, PyTuple_GetItem(pair, 1), depth + 1) < 0;
        }
    }
    Py_XDECREF(items);
    return failed ? -1 : 0;
}

static int exact_text(struct bj_buf *b, PyObject *o)
{
    Py_ssize_t len = 0;
    const char *text = PyUnicode_AsUTF8AndSize(o, &len);
    if (text == NULL)
        return -1;
    return bj_put_str(b, text, (size_t)len) < 0 ? too_large() : 0;
}

static int exact_int(struct bj_buf *b, PyObject *o)
{
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow <= 0) {
        if (overflow < 0) {
            PyErr_SetString(PyExc_OverflowError, "int does not fit 64 bits");
            return -1;
        }
        return bj_put_int(b, value) < 0 ? too_large() : 0;
    }
    unsigned long long large = PyLong_AsUnsignedLongLong(o);
    if (PyErr_Occurred())
        return -1;
    return bj_put_uint(b, large) < 0 ? too_large() : 0;
}

static int exact(struct bj_buf *b, PyObject *o, int depth)
{
    if (depth > MAX_NESTING) {
        PyErr_SetString(PyExc_OverflowError, "value is nested deeper than 64");
        return -1;
    }
    if (o == Py_None)
        return bj_put_nil(b) < 0 ? too_large() : 0;
    if (o == Py_True || o == Py_False)
        return bj_put_bool(b, o == Py_True) < 0 ? too_large() : 0;
    if (PyUnicode_CheckExact(o))
        return exact_text(b, o);
    if (PyLong_CheckExact(o))
        return exact_int(b, o);
    if (PyFloat_CheckExact(o))
        return bj_put_float(b, PyFloat_AsDouble(o)) < 0 ? too_large() : 0;
    if (PyBytes_CheckExact(o))
        return bj_put_bin(b, PyBytes_AsString(o), (size_t)PyBytes_Size(o)) < 0 ? too_large() : 0;
    if (PyTuple_CheckExact(o) || PyList_CheckExact(o))
        return exact_items(b, o, depth);
    if (PyDict_CheckExact(o))
        return exact_dict(b, o, depth);
    PyErr_SetString(PyExc_TypeError, "pack takes exact builtin values only");
    return -1;
}

static PyObject *pack(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    static char *names[] = {"value", "limit", NULL};
    PyObject *value = NULL, *result = NULL;
    Py_ssize_t limit = DEFAULT_LIMIT;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|n:pack", names, &value, &limit))
        return NULL;
    if (limit < 1) {
        PyErr_SetString(PyExc_ValueError, "limit must be at least 1");
        return NULL;
    }
    struct bj_buf b = {.limit = (size_t)limit};
    if (exact(&b, value, 0) == 0)
        result = PyBytes_FromStringAndSize((char *)b.data, (Py_ssize_t)b.len);
    free(b.data);
    return result;
}

/* What the recorder would write, so that its encoder can be tested and fuzzed in process. */
static PyObject *record_value(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *value = NULL;
    unsigned char data[4096];
    int room = sizeof data;
    if (!PyArg_ParseTuple(args, "O|i:record_value", &value, &room))
        return NULL;
    if (room < 1 || room > (int)sizeof data) {
        PyErr_SetString(PyExc_ValueError, "room must be 1 to 4096 bytes");
        return NULL;
    }
    struct bj_buf b = {.data = data, .cap = (size_t)room};
    bj_value(&b, value, BJ_MAX_TEXT, 0);
    return Py_BuildValue("(y#O)", data, (Py_ssize_t)b.len, b.cut ? Py_True : Py_False);
}

static PyMethodDef methods[] = {
    {"answer", bj_answer, METH_VARARGS, "Answer an event that asked; see `docs/protocol.md`."},
    {"confine_apply", bj_confine_apply, METH_VARARGS, "Confine this process by a plan, for good."},
    {"confine_try", bj_confine_try, METH_VARARGS, "Let a child do it, and try what is forbidden."},
    {"is_alone", bj_is_alone, METH_NOARGS, "1: the only thread; 0: there are others; -1: unknown."},
    {"landlock_abi", landlock_abi, METH_NOARGS, "The kernel's Landlock ABI, 0 where it has none."},
    {"open_window", bj_open_window, METH_VARARGS, "Judge the files of this process, for good."},
    {"pack", (PyCFunction)(void (*)(void))pack, METH_VARARGS | METH_KEYWORDS,
     "MessagePack of exact None, bool, int, float, str, bytes, list, tuple and dict."},
    {"reader_close", bj_reader_close, METH_VARARGS, "End a reader; closing again does nothing."},
    {"reader_open", bj_reader_open, METH_VARARGS, "Record this process into its own memory."},
    {"reader_take", bj_reader_take, METH_VARARGS, "The frames that came since, and the drops."},
    {"record_value", record_value, METH_VARARGS,
     "What the recorder would write of `value` into `room` bytes, and whether something was cut."},
    {"scan_frames", bj_scan_frames, METH_VARARGS,
     "Check frames at the head of `data`; see `docs/protocol.md`."},
    {"unchanged", bj_unchanged, METH_VARARGS, "Whether files have the times that a text tells."},
    {"unpack", bj_unpack, METH_VARARGS, "The one value in MessagePack bytes of the recorder."},
    {"unskipped", bj_unskipped, METH_VARARGS,
     "The places of the events in `data` whose name is not in `skip`."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED /* the values: 3.15 always names the slots */
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_NOT_USED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "belljar._native._core", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
