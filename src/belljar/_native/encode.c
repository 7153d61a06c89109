/* The encoder. Compiled into the extension and, without Python.h, into the recorder. */
#include "encode.h"

#include "digest.h"

void bj_put_absent(struct bj_buf *b)
{
    bj_put_nil(b);
    b->cut = 1;
}

void bj_put_cut(struct bj_buf *b, const struct bj_text *text, size_t max)
{
    enum { OVERHEAD = 4 + 1 + 4 + 9, DIGEST = 2 + BJ_DIGEST }; /* ext, array, inner head, length */
    size_t left = b->cap - b->len, digest = text->digest != NULL ? DIGEST : 0;
    if (left < OVERHEAD + digest + 16) {
        bj_put_absent(b);
        return;
    }
    size_t keep = text->len < max ? text->len : max;
    if (keep > left - OVERHEAD - digest)
        keep = left - OVERHEAD - digest;
    if (keep < text->len && text->kind != BJ_BIN)
        while (keep > 0 && ((unsigned char)text->at[keep] & 0xc0) == 0x80)
            keep--;
    size_t number = text->whole < 0x80 ? 1 : 1 + bj_width_of(text->whole);
    bj_put_ext_head(b, 1 + bj_head_size(text->kind, keep) + keep + number + digest,
                    digest ? BJ_EXT_SOURCE : BJ_EXT_CUT);
    bj_put_array(b, digest ? 3 : 2);
    bj_put_text(b, text->kind, text->at, keep);
    bj_put_uint(b, text->whole);
    if (digest)
        bj_put_bin(b, (const char *)text->digest, BJ_DIGEST);
    b->cut = 1;
}

/* Whole where it is no longer than `max` bytes and there is room, cut otherwise. */
static void write_text(struct bj_buf *b, const struct bj_text *text, size_t max)
{
    if (text->len <= max && bj_head_size(text->kind, text->len) + text->len <= b->cap - b->len)
        bj_put_text(b, text->kind, text->at, text->len);
    else
        bj_put_cut(b, text, max);
}

/* As strict as the reader: no surrogates, nothing longer than it need be, nothing beyond U+10FFFF. */
static int is_utf8(const unsigned char *at, size_t len)
{
    const unsigned char *end = at + len;
    while (at < end) {
        unsigned char first = *at++;
        if (first < 0x80)
            continue;
        int more = first >= 0xc2 && first < 0xe0 ? 1 : (first & 0xf0) == 0xe0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
        if (more == 0 || end - at < more)
            return 0;
        unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (*at < low || *at > high)
            return 0;
        for (at++; --more > 0; at++)
            if ((*at & 0xc0) != 0x80)
                return 0;
    }
    return 1;
}

/* Paths and words of the system are bytes: those that are no text go as bytes. */
void bj_text(struct bj_buf *b, const char *text, size_t len, size_t max)
{
    enum bj_kind kind = is_utf8((const unsigned char *)text, len) ? BJ_STR : BJ_BIN;
    write_text(b, &(struct bj_text){.kind = kind, .at = text, .len = len, .whole = len}, max);
}

int bj_whole_text(PyObject *o, struct bj_text *text)
{
    Py_ssize_t len = 0;
    char *bytes = NULL;
    memset(text, 0, sizeof *text);
    if (bj_is_a(o, &PyUnicode_Type)) {
        text->kind = BJ_STR;
        text->whole = (size_t)PyUnicode_GetLength(o);
        text->at = PyUnicode_AsUTF8AndSize(o, &len);
        if (text->at == NULL) { /* lone surrogates */
            PyErr_Clear();
            text->kind = BJ_SURROGATES;
            text->keep = o = PyUnicode_AsEncodedString(o, "utf-8", "surrogatepass");
        }
    } else if (bj_is_a(o, &PyBytes_Type)) {
        text->kind = BJ_BIN;
    } else {
        return -1;
    }
    if (text->at == NULL) {
        if (o == NULL || PyBytes_AsStringAndSize(o, &bytes, &len) < 0) {
            PyErr_Clear();
            return -1;
        }
        text->at = bytes;
    }
    text->len = (size_t)len;
    if (text->kind == BJ_BIN)
        text->whole = text->len;
    return 0;
}

static int put_plain(struct bj_buf *b, const char *text, size_t len)
{
    if (len + 5 > b->cap - b->len)
        return 0;
    bj_put_str(b, text, len);
    return 1;
}

static void write_str(struct bj_buf *b, PyObject *o, size_t max)
{
    Py_ssize_t whole = PyUnicode_GetLength(o), len = 0;
    PyObject *part = NULL;
    int more = whole > (Py_ssize_t)max;
    const char *plain = more ? NULL : PyUnicode_AsUTF8AndSize(o, &len);
    if (plain != NULL && (size_t)len <= max && put_plain(b, plain, (size_t)len))
        return; /* nearly always */
    PyErr_Clear();
    if (more) /* never encode a megabyte to keep a kilobyte of it */
        o = part = PyUnicode_Substring(o, 0, (Py_ssize_t)max);
    struct bj_text text = {0};
    if (o == NULL || bj_whole_text(o, &text) < 0) {
        PyErr_Clear();
        bj_put_absent(b);
    } else if (more) {
        text.whole = (size_t)whole;
        bj_put_cut(b, &text, max);
    } else {
        write_text(b, &text, max);
    }
    Py_DecRef(text.keep);
    Py_DecRef(part);
}

static void write_bytes(struct bj_buf *b, PyObject *o, size_t max)
{
    char *bytes = NULL;
    Py_ssize_t len = 0;
    PyBytes_AsStringAndSize(o, &bytes, &len);
    write_text(b, &(struct bj_text){.kind = BJ_BIN, .at = bytes, .len = (size_t)len, .whole = (size_t)len}, max);
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
                bj_put_absent(b);
                return;
            }
            bj_put_ext_head(b, number.len, BJ_EXT_BIGINT);
            memcpy(bj_room(b, number.len), inner, number.len);
            return;
        }
    }
    if (failed)
        bj_put_absent(b);
}

/* Before 3.11 through the descriptor that `type` itself has for `__name__`: what a metaclass defines
 * under that name is never looked at. */
const char *bj_type_name(PyObject *type, PyObject **keep, size_t *size)
{
    PyObject *name = NULL;
#ifdef BELLJAR_EXTENSION
    name = PyType_GetName((PyTypeObject *)type);
#else
    if (PyType_GetName != NULL) {
        name = PyType_GetName(type);
    } else {
        PyObject *members = PyObject_GetAttrString((PyObject *)&PyType_Type, "__dict__");
        PyObject *descriptor = members == NULL ? NULL : PyMapping_GetItemString(members, "__name__");
        if (descriptor != NULL)
            name = PyObject_CallMethod(descriptor, "__get__", "O", type);
        Py_DecRef(descriptor);
        Py_DecRef(members);
    }
#endif
    const char *text = "?";
    Py_ssize_t len = 1;
    if (name != NULL && bj_exactly(name, &PyUnicode_Type))
        text = PyUnicode_AsUTF8AndSize(name, &len);
    if (text == NULL || len > 128)
        text = "?", len = 1;
    PyErr_Clear();
    *keep = name;
    *size = (size_t)len;
    return text;
}

static void write_type(struct bj_buf *b, PyObject *o)
{
    PyObject *type = PyObject_Type(o), *keep;
    size_t len;
    const char *text = bj_type_name(type, &keep, &len);
    if (b->cap - b->len < 3 + len) {
        bj_put_absent(b);
    } else {
        bj_put_ext_head(b, len, BJ_EXT_TYPE);
        memcpy(bj_room(b, len), text, len);
    }
    Py_DecRef(keep);
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
        bj_put_absent(b);
        return;
    }
    bj_put_array(b, n);
    for (size_t i = 0; i < n; i++) {
        bj_reserve(b, n - 1 - i);
        PyObject *item = PySequence_GetItem(o, (Py_ssize_t)i); /* a list may shrink meanwhile */
        if (item == NULL) {
            PyErr_Clear();
            bj_put_absent(b);
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
        write_bytes(b, o, max);
    } else if (type == (const void *)&PyTuple_Type || type == (const void *)&PyList_Type) {
        write_items(b, o, max, depth);
    } else if (type == (const void *)&PyBool_Type) {
        bj_put_bool(b, o == Py_True);
    } else if (type == (const void *)&PyFloat_Type) {
        if (bj_put_float(b, PyFloat_AsDouble(o)) < 0)
            bj_put_absent(b);
    } else if (type == (const void *)&PyDict_Type) { /* an environment: names, never values */
        PyObject *keys = PyDict_Keys(o);
        if (keys == NULL) {
            PyErr_Clear();
            bj_put_absent(b);
        } else {
            write_items(b, keys, max, depth);
        }
        Py_DecRef(keys);
    } else if (type == (const void *)&PyCode_Type) {
        bj_put_code(b, o);
    } else if (bj_is_a(o, &PyUnicode_Type)) { /* what CPython opens, whatever its methods say */
        write_str(b, o, max);
    } else if (bj_is_a(o, &PyBytes_Type)) {
        write_bytes(b, o, max);
    } else {
        write_type(b, o);
    }
}
