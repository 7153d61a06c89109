#include "family.h"

unsigned long PyType_GetFlags(PyObject *) BJ_WEAK;

enum { HEAP = 1 << 9, IMMUTABLE = 1 << 8, NUMBERS = 2 };

/* `type.__dict__[name].__get__(type)`: what a metaclass defines is never looked at. */
static PyObject *of_type(PyObject *type, const char *name)
{
    PyObject *members = PyObject_GetAttrString((PyObject *)&PyType_Type, "__dict__");
    PyObject *descriptor = members == NULL ? NULL : PyMapping_GetItemString(members, name);
    PyObject *value = descriptor == NULL ? NULL : PyObject_CallMethod(descriptor, "__get__", "O", type);
    PyErr_Clear();
    Py_DecRef(descriptor);
    Py_DecRef(members);
    return value;
}

/* The type from which every socket is derived: next to `object`, and made by C code, so that its
 * members are C code, too. Borrowed from `order`. */
static PyObject *base_of(PyObject *order)
{
    Py_ssize_t size = order != NULL && bj_exactly(order, &PyTuple_Type) ? PyTuple_Size(order) : 0;
    PyObject *base = size < 2 ? NULL : PyTuple_GetItem(order, size - 2);
    unsigned long flags = base == NULL ? HEAP : PyType_GetFlags(base);
    return flags & HEAP && !(flags & IMMUTABLE) ? NULL : base;
}

static int number(PyObject *members, const char *name, PyObject *o, PyObject *type, long long *out)
{
    int overflow = 1;
    PyObject *descriptor = PyMapping_GetItemString(members, name);
    PyObject *value = descriptor == NULL ? NULL : PyObject_CallMethod(descriptor, "__get__", "OO", o, type);
    if (value != NULL && bj_exactly(value, &PyLong_Type))
        *out = PyLong_AsLongLongAndOverflow(value, &overflow);
    PyErr_Clear();
    Py_DecRef(value);
    Py_DecRef(descriptor);
    return overflow ? -1 : 0;
}

int bj_put_socket(struct bj_buf *b, PyObject *o)
{
    PyObject *type = PyObject_Type(o), *order = of_type(type, "__mro__"), *members = NULL, *keep = NULL;
    PyObject *base = base_of(order), *base_keep = NULL;
    size_t len = 0, base_len = 0;
    long long numbers[NUMBERS];
    int found = 0;
    const char *name = base == NULL ? "" : bj_type_name(base, &base_keep, &base_len);
    if (base_len == 6 && memcmp(name, "socket", 6) == 0)
        members = of_type(base, "__dict__");
    if (members != NULL && number(members, "family", o, type, &numbers[0]) == 0 &&
        number(members, "type", o, type, &numbers[1]) == 0) {
        unsigned char room[192];
        struct bj_buf inner = {.data = room, .cap = sizeof room};
        name = bj_type_name(type, &keep, &len);
        bj_put_array(&inner, 1 + NUMBERS);
        bj_put_str(&inner, name, len);
        for (int i = 0; i < NUMBERS; i++)
            bj_put_int(&inner, numbers[i]);
        found = b->cap - b->len >= 4 + inner.len;
        if (found) {
            bj_put_ext_head(b, inner.len, BJ_EXT_SOCKET);
            memcpy(bj_room(b, inner.len), room, inner.len);
        }
    }
    Py_DecRef(members);
    Py_DecRef(keep);
    Py_DecRef(base_keep);
    Py_DecRef(order);
    Py_DecRef(type);
    return found;
}
