/* Which place of the program raises events again and again? Its encoded frame is kept, with a
 * reference to its code object, once it was seen twice in a row. What is displaced is released by
 * the interpreter's main loop, never here: that may run finalizers. */
#include <stdatomic.h>
#include <string.h>

#include "stack.h"

enum { SITES = 64, ENCODED = 256 };

int Py_AddPendingCall(int (*)(void *), void *) BJ_WEAK;
void Py_IncRef(PyObject *) BJ_WEAK;

struct site {
    PyObject *code;
    int instruction;
    unsigned short size;
    unsigned char place;
    unsigned char bytes[ENCODED];
};

static struct site sites[SITES];
static struct {
    const PyObject *code; /* only ever compared */
    int instruction;
} seen[SITES];
static atomic_flag busy = ATOMIC_FLAG_INIT; /* there are interpreters without a global lock */

static int release(void *code)
{
    Py_DecRef(code);
    return 0;
}

int bj_release_later(PyObject *code) { return Py_AddPendingCall(release, code); }

int bj_may_keep(void)
{
    return Py_AddPendingCall != NULL &&
           (PyInterpreterState_Get == NULL || PyInterpreterState_GetID(PyInterpreterState_Get()) == 0);
}

void bj_sites_forget(void)
{
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        ;
    memset(sites, 0, sizeof sites);
    memset(seen, 0, sizeof seen);
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

static size_t slot_of(const PyObject *code, int instruction)
{
    return ((uintptr_t)code / 16 ^ (uintptr_t)code / 4096 ^ (unsigned)instruction) % SITES;
}

int bj_put_site(struct bj_buf *b, const PyObject *code, int instruction, enum bj_place at_most)
{
    const struct site *site = &sites[slot_of(code, instruction)];
    int found = 0;
    if (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        return 0;
    if (site->code == code && site->instruction == instruction && site->place <= at_most &&
        b->cap - b->len >= site->size) {
        memcpy(bj_room(b, site->size), site->bytes, site->size);
        found = 1;
    }
    atomic_flag_clear_explicit(&busy, memory_order_release);
    return found;
}

void bj_learn_site(PyObject *code, int instruction, enum bj_place place, const unsigned char *bytes,
                   size_t size)
{
    size_t slot = slot_of(code, instruction);
    struct site *site = &sites[slot];
    if (size > ENCODED || atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        return;
    int again = seen[slot].code == code && seen[slot].instruction == instruction;
    seen[slot].code = code;
    seen[slot].instruction = instruction;
    if (again && (site->code == NULL || bj_release_later(site->code) == 0)) {
        Py_IncRef(code);
        site->code = code;
        site->instruction = instruction;
        site->size = (unsigned short)size;
        site->place = (unsigned char)place;
        memcpy(site->bytes, bytes, size);
    }
    atomic_flag_clear_explicit(&busy, memory_order_release);
}
