#include "stack.h"

#include <stdatomic.h>
#include <string.h>

#define THREAD static __thread __attribute__((tls_model("initial-exec")))

int PyFrame_GetLasti(PyObject *) BJ_WEAK; /* 3.11 */

THREAD int asking;

int bj_asking(void) { return asking; }

int bj_has_thread_state(void)
{
    if (PyThreadState_GetUnchecked != NULL)
        return PyThreadState_GetUnchecked() != NULL;
    return _PyThreadState_UncheckedGet != NULL && _PyThreadState_UncheckedGet() != NULL;
}

static long long interpreter(void)
{
    return PyInterpreterState_Get ? PyInterpreterState_GetID(PyInterpreterState_Get()) : 0;
}

static _Atomic long long ended; /* interpreters of number 0 that ended: in steps no number reaches */

void bj_stack_forget(void) { atomic_fetch_add(&ended, 1LL << 48); }

/* Interned names make attributes four times as fast. They are kept for each thread and belong
 * to one interpreter: when the thread enters another they are forgotten, not released, because
 * theirs may be gone. */
static PyObject *interned(enum bj_attribute which)
{
    static const char *const spelled[] = {"f_code",      "f_back",      "co_filename",
                                          "co_name",     "f_locals",    "co_varnames",
                                          "co_freevars", "co_cellvars", "co_flags"};
    THREAD PyObject *names[BJ_ATTRIBUTES];
    THREAD long long owner;
    long long here = interpreter() + atomic_load_explicit(&ended, memory_order_relaxed);
    if (owner != here + 1) {
        memset(names, 0, sizeof names);
        owner = here + 1;
    }
    if (names[which] == NULL)
        names[which] = PyUnicode_InternFromString(spelled[which]);
    return names[which];
}

PyObject *bj_attribute(PyObject *o, enum bj_attribute which)
{
    PyObject *name = interned(which), *value = NULL;
    asking = 1;
    if (name != NULL)
        value = PyObject_GetAttr(o, name);
    asking = 0;
    if (value == NULL)
        PyErr_Clear();
    return value;
}

/* A frame of the walk outwards; `code` is a reference, `frame` is one but for the innermost. */
struct step {
    PyObject *frame, *held, *code, *file;
    enum bj_place place;
};

static int read_code(struct step *at)
{
    at->code = at->file = NULL;
    if (at->frame == NULL || at->frame == Py_None)
        return 0;
    at->code = PyFrame_GetCode ? PyFrame_GetCode(at->frame) : bj_attribute(at->frame, BJ_CODE);
    return at->code != NULL;
}

static int look(struct step *at)
{
    if (!read_code(at))
        return 0;
    at->place = bj_place_of(at->code, &at->file);
    return 1;
}

static void leave(struct step *at)
{
    Py_DecRef(at->file);
    Py_DecRef(at->code);
    Py_DecRef(at->held);
    memset(at, 0, sizeof *at);
}

static int outwards(struct step *at)
{
    PyObject *next = PyFrame_GetBack ? PyFrame_GetBack(at->frame) : bj_attribute(at->frame, BJ_BACK);
    leave(at);
    at->frame = at->held = next;
    return look(at);
}

static void put_one(struct bj_buf *b, struct step *at, int more)
{
    PyObject *name = bj_attribute(at->code, BJ_NAME);
    if (at->file == NULL)
        at->file = bj_attribute(at->code, BJ_FILE_NAME);
    bj_put_array(b, more ? 4 : 3);
    bj_put_label(b, at->file, BJ_FILE_TEXT);
    bj_put_int(b, PyFrame_GetLineNumber(at->frame));
    bj_put_label(b, name, BJ_NAME_TEXT);
    Py_DecRef(name);
}

static void put_found(struct bj_buf *b, struct step *at, int keeps)
{
    int instruction = keeps ? PyFrame_GetLasti(at->frame) : 0, cut = b->cut;
    size_t before = b->len;
    if (keeps && bj_put_site(b, at->code, instruction, at->place))
        return;
    b->cut = 0;
    put_one(b, at, 0);
    if (keeps && !b->cut)
        bj_learn_site(at->code, instruction, at->place, b->data + before, b->len - before);
    b->cut |= cut;
}

void bj_put_frame(struct bj_buf *b, enum bj_reach reach)
{
    struct step at = {.frame = PyEval_GetFrame()}, nearest = {0};
    int there = read_code(&at), keeps = PyFrame_GetLasti && bj_may_keep();
    if (there && keeps && bj_put_site(b, at.code, PyFrame_GetLasti(at.frame), BJ_PROGRAM)) {
        Py_DecRef(at.code); /* the program itself, as before */
        return;
    }
    if (there)
        at.place = bj_place_of(at.code, &at.file);
    if (there && at.place == BJ_MACHINERY && reach != BJ_ACTS) {
        while (there && at.place == BJ_MACHINERY)
            there = outwards(&at);
    } else {
        for (int depth = 0; there && at.place != BJ_PROGRAM && depth < BJ_DEEPEST; depth++) {
            if (at.place == BJ_MACHINERY && reach == BJ_IMPORTS)
                break; /* a module of the library that is being imported: its own doing */
            if (at.place == BJ_LIBRARY && nearest.frame == NULL) {
                nearest = at; /* in case that nothing lies beyond */
                at = (struct step){.frame = at.frame}; /* the references are moved */
            }
            there = outwards(&at);
        }
    }
    if (there && (at.place == BJ_PROGRAM || (at.place == BJ_LIBRARY && nearest.frame == NULL)))
        put_found(b, &at, keeps);
    else if (nearest.frame != NULL)
        put_found(b, &nearest, keeps);
    else
        bj_put_nil(b);
    leave(&at);
    leave(&nearest);
}

void bj_put_stack(struct bj_buf *b, int most, int locals)
{
    enum { LARGEST = BJ_FILE_TEXT + BJ_NAME_TEXT + 1400 };
    unsigned char room[LARGEST];
    size_t head = b->len, count = 0;
    struct step at = {.frame = PyEval_GetFrame()};
    if (bj_put(b, 0xdc, 0, 2) < 0) { /* an array; how long comes last */
        bj_put_nil(b);
        return;
    }
    for (int there = look(&at), depth = 0; there && (int)count < most; there = outwards(&at)) {
        if (at.place == BJ_MACHINERY && depth++ < BJ_DEEPEST)
            continue;
        struct bj_buf one = {.data = room, .cap = sizeof room};
        size_t values = 0;
        put_one(&one, &at, 0);
        if (locals) {
            values = one.len;
            if (bj_put_locals(&one, at.frame, at.code))
                room[0] = 0x94; /* an array of four now */
            else
                one.len = values;
        }
        if (one.len > b->cap - b->len && values > 0) { /* rather the frame than its values */
            one.len = values;
            room[0] = 0x93;
        }
        if (one.len > b->cap - b->len) {
            b->cut = 1;
            break;
        }
        memcpy(bj_room(b, one.len), room, one.len);
        b->cut |= one.cut;
        count++;
    }
    b->data[head + 1] = (unsigned char)(count >> 8);
    b->data[head + 2] = (unsigned char)count;
    leave(&at);
}
