/* The encoder. Compiled into the extension and, without Python.h, into the recorder. */
#include "encode.h"


static void absent(struct bj_buf *b)
{
    bj_put_nil(b);
    b->cut = 1;
}

/* `len` bytes are at hand of a text that is `whole` long; write at most `max` of them. */
static void write_text(struct bj_buf *b, enum bj_kind kind, const char *text, size_t len, size_t whole,
                       size_t max, int more)
{
    size_t left = b->cap - b->len;
    if (!more && len <= max && bj_head_size(kind, len) + len <= left) {
        bj_put_text(b, kind, text, len);
        return;
    }
    enum { OVERHEAD = 4 + 1 + 4 + 9 }; /* ext, array, inner head, length */
    if (left < OVERHEAD + 16) {
        absent(b);
        return;
    }
    size_t keep = len < max ? len : max;
    if (keep > left - OVERHEAD)
        keep = left - OVERHEAD;
    if (keep < len && kind != BJ_BIN)
        while (keep > 0 && ((unsigned char)text[keep] & 0xc0) == 0x80)
            keep--;
    size_t number = whole < 0x80 ? 1 : 1 + bj_width_of(whole);
    bj_put_ext_head(b, 1 + bj_head_size(kind, keep) + keep + number, BJ_EXT_CUT);
    bj_put_array(b, 2);
    bj_put_text(b, kind, text, keep);
    bj_put_uint(b, whole);
    b->cut = 1;
}

void bj_text(struct bj_buf *b, const char *text, size_t len, size_t max)
{
    write_text(b, BJ_STR, text, len, len, max, 0);
}

static void write_str(struct bj_buf *b, PyObject *o, size_t max)
{
    Py_ssize_t whole = PyUnicode_GetLength(o), len = 0;
    PyObject *part = NULL, *coded = NULL;
    int more = whole > (Py_ssize_t)max;
    if (more) /* never encode a megabyte to keep a kilobyte of it */
        o = part = PyUnicode_Substring(o, 0, (Py_ssize_t)max);
    const char *text = o == NULL ? NULL : PyUnicode_AsUTF8AndSize(o, &len);
    enum bj_kind kind = BJ_STR;
    if (text == NULL && o != NULL) { /* lone surrogates */
        PyErr_Clear();
        char *bytes = NULL;
        coded = PyUnicode_AsEncodedString(o, "utf-8", "surrogatepass");
        if (coded != NULL && PyBytes_AsStringAndSize(coded, &bytes, &len) == 0)
            text = bytes;
        kind = BJ_SURROGATES;
    }
    if (text != NULL) {
        write_text(b, kind, text, (size_t)len, (size_t)whole, max, more);
    } else {
        PyErr_Clear();
        absent(b);
    }
    Py_DecRef(part);
    Py_DecRef(coded);
}

static void write_int(struct bj_buf *b, PyObject *o)
{
    int overflow = 0;
    long long small = PyLong_AsLongLongAndOverflow(o, &overflow);
    int failed = 0;
    if (overflow == 0) {
        failed = bj_put_int(b, small);
    } else {
        unsigned long long large = overflow > 0 ? PyLong_AsUnsignedLongLong(o) : (unsigned long long)-1;
        if (overflow > 0 && !PyErr_Occurred()) {
            failed = bj_put_uint(b, large);
        } else { /* its bit length, negative for a negative number; int cannot be patched */
            PyErr_Clear();
            PyObject *bits = PyObject_CallMethod(o, "bit_length", NULL);
            long long n = bits == NULL ? 0 : PyLong_AsLongLongAndOverflow(bits, &failed);
            Py_DecRef(bits);
            PyErr_Clear();
            unsigned char inner[9];
            struct bj_buf number = {.data = inner, .cap = sizeof inner};
            bj_put_int(&number, overflow < 0 ? -n : n);
            if (b->cap - b->len < 3 + number.len) {
                absent(b);
                return;
            }
            bj_put_ext_head(b, number.len, BJ_EXT_BIGINT);
            memcpy(bj_room(b, number.len), inner, number.len);
            return;
        }
    }
    if (failed)
        absent(b);
}

/* The name of a foreign object's type, through the descriptor that `type` itself has for
 * `__name__`: what a metaclass defines under that name is never looked at. */
static void write_type(struct bj_buf *b, PyObject *o)
{
    PyObject *type = PyObject_Type(o), *name = NULL, *descriptor = NULL;
    PyObject *members = PyObject_GetAttrString((PyObject *)&PyType_Type, "__dict__");
    if (members != NULL)
        descriptor = PyMapping_GetItemString(members, "__name__");
    if (descriptor != NULL)
        name = PyObject_CallMethod(descriptor, "__get__", "O", type);
    const char *text = "?";
    Py_ssize_t len = 1;
    if (name != NULL && bj_exactly(name, &PyUnicode_Type))
        text = PyUnicode_AsUTF8AndSize(name, &len);
    if (text == NULL || len > 128)
        text = "?", len = 1;
    PyErr_Clear();
    size_t n = (size_t)len;
    if (b->cap - b->len < 3 + n) {
        absent(b);
    } else {
        bj_put_ext_head(b, n, BJ_EXT_TYPE);
        memcpy(bj_room(b, n), text, n);
    }
    Py_DecRef(name);
    Py_DecRef(descriptor);
    Py_DecRef(members);
    Py_DecRef(type);
}

static void write_items(struct bj_buf *b, PyObject *o, size_t max, int depth)
{
    Py_ssize_t size = PySequence_Size(o);
    size_t n = size < 0 ? 0 : (size_t)size;
    if (n > BJ_MAX_ITEMS) {
        n = BJ_MAX_ITEMS;
        b->cut = 1;
    }
    if (depth >= BJ_MAX_DEPTH || b->cap - b->len < 3 + n) {
        absent(b);
        return;
    }
    bj_put_array(b, n);
    for (size_t i = 0; i < n; i++) {
        bj_reserve(b, n - 1 - i);
        PyObject *item = PySequence_GetItem(o, (Py_ssize_t)i); /* a list may shrink meanwhile */
        if (item == NULL) {
            PyErr_Clear();
            absent(b);
        } else {
            bj_value(b, item, max, depth + 1);
        }
        Py_DecRef(item);
        bj_release(b, n - 1 - i);
    }
}

void bj_value(struct bj_buf *b, PyObject *o, size_t max, int depth)
{
    if (o == Py_None) {
        bj_put_nil(b);
        return;
    }
    PyObject *own = PyObject_Type(o);
    const void *type = own;
    Py_DecRef(own);
    if (type == (const void *)&PyUnicode_Type) {
        write_str(b, o, max);
    } else if (type == (const void *)&PyLong_Type) {
        write_int(b, o);
    } else if (type == (const void *)&PyBytes_Type) {
        char *bytes = NULL;
        Py_ssize_t len = 0;
        PyBytes_AsStringAndSize(o, &bytes, &len);
        write_text(b, BJ_BIN, bytes, (size_t)len, (size_t)len, max, 0);
    } else if (type == (const void *)&PyTuple_Type || type == (const void *)&PyList_Type) {
        write_items(b, o, max, depth);
    } else if (type == (const void *)&PyBool_Type) {
        bj_put_bool(b, o == Py_True);
    } else if (type == (const void *)&PyFloat_Type) {
        if (bj_put_float(b, PyFloat_AsDouble(o)) < 0)
            absent(b);
    } else if (type == (const void *)&PyDict_Type) { /* an environment: names, never values */
        PyObject *keys = PyDict_Keys(o);
        if (keys == NULL) {
            PyErr_Clear();
            absent(b);
        } else {
            write_items(b, keys, max, depth);
        }
        Py_DecRef(keys);
    } else {
        write_type(b, o);
    }
}
