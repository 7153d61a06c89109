#include "family.h"

#include <stdatomic.h>

#include "stack.h"

void Py_IncRef(PyObject *) BJ_WEAK;
unsigned long PyType_GetFlags(PyObject *) BJ_WEAK;
void *PyType_GetSlot(PyObject *, int) BJ_WEAK; /* of static types from 3.10 on */

enum { HEAP = 1 << 9, IMMUTABLE = 1 << 8, NUMBERS = 2, DESCR_GET = 54 };

typedef PyObject *(*getter)(PyObject *, PyObject *, PyObject *);
static const char *const number_names[NUMBERS] = {"family", "type"};

/* The type of sockets in the main interpreter and how its members are read, found once. */
static struct {
    PyObject *base, *members[NUMBERS];
    getter get;
} found;
static atomic_int state; /* 0: not looked for, 1: someone fills it in, 2: there */

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

static int number(PyObject *descriptor, PyObject *o, PyObject *type, getter get, long long *out)
{
    int overflow = 1;
    PyObject *value = NULL;
    if (get != NULL)
        value = get(descriptor, o, type);
    else if (descriptor != NULL)
        value = PyObject_CallMethod(descriptor, "__get__", "OO", o, type);
    if (value != NULL && bj_exactly(value, &PyLong_Type))
        *out = PyLong_AsLongLongAndOverflow(value, &overflow);
    PyErr_Clear();
    Py_DecRef(value);
    return overflow ? -1 : 0;
}

static void remember(PyObject *base, PyObject *members[NUMBERS])
{
    int nobody = 0;
    if (PyType_GetSlot == NULL || !bj_may_keep() ||
        !atomic_compare_exchange_strong(&state, &nobody, 1))
        return;
    PyObject *kind = PyObject_Type(members[0]);
    *(void **)&found.get = PyType_GetSlot(kind, DESCR_GET);
    PyErr_Clear(); /* before 3.10 not for a static type */
    Py_DecRef(kind);
    if (found.get == NULL)
        return; /* never looked for again */
    Py_IncRef(base);
    found.base = base;
    for (int i = 0; i < NUMBERS; i++) {
        Py_IncRef(members[i]);
        found.members[i] = members[i];
    }
    atomic_store_explicit(&state, 2, memory_order_release);
}

void bj_family_forget(void) { atomic_store(&state, 0); }

/* The slow way: 0 with the numbers, or -1. */
static int look(PyObject *o, PyObject *type, long long numbers[NUMBERS])
{
    PyObject *order = of_type(type, "__mro__"), *base = base_of(order), *keep = NULL, *all = NULL;
    PyObject *members[NUMBERS] = {NULL, NULL};
    size_t len = 0;
    const char *name = base == NULL ? "" : bj_type_name(base, &keep, &len);
    int failed = len != 6 || memcmp(name, "socket", 6) != 0;
    if (!failed)
        all = of_type(base, "__dict__");
    for (int i = 0; i < NUMBERS; i++) {
        members[i] = all == NULL ? NULL : PyMapping_GetItemString(all, number_names[i]);
        PyErr_Clear();
        failed |= members[i] == NULL || number(members[i], o, type, NULL, &numbers[i]) < 0;
    }
    if (!failed)
        remember(base, members);
    for (int i = 0; i < NUMBERS; i++)
        Py_DecRef(members[i]);
    Py_DecRef(all);
    Py_DecRef(keep);
    Py_DecRef(order);
    return failed ? -1 : 0;
}

static int read_numbers(PyObject *o, PyObject *type, long long numbers[NUMBERS])
{
    if (atomic_load_explicit(&state, memory_order_acquire) != 2 || !bj_may_keep() ||
        !PyType_IsSubtype(type, found.base))
        return look(o, type, numbers);
    for (int i = 0; i < NUMBERS; i++)
        if (number(found.members[i], o, type, found.get, &numbers[i]) < 0)
            return -1;
    return 0;
}

int bj_put_socket(struct bj_buf *b, PyObject *o)
{
    PyObject *type = PyObject_Type(o), *keep = NULL;
    long long numbers[NUMBERS];
    int done = 0;
    if (read_numbers(o, type, numbers) == 0) {
        unsigned char room[192];
        struct bj_buf inner = {.data = room, .cap = sizeof room};
        size_t len;
        const char *name = bj_type_name(type, &keep, &len);
        bj_put_array(&inner, 1 + NUMBERS);
        bj_put_str(&inner, name, len);
        for (int i = 0; i < NUMBERS; i++)
            bj_put_int(&inner, numbers[i]);
        done = b->cap - b->len >= 4 + inner.len;
        if (done) {
            bj_put_ext_head(b, inner.len, BJ_EXT_SOCKET);
            memcpy(bj_room(b, inner.len), room, inner.len);
        }
    }
    Py_DecRef(keep);
    Py_DecRef(type);
    return done;
}
