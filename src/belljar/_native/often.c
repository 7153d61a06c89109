/* Events that tell next to nothing and come by the million: id() of every object that is copied,
 * the caller's frame of every line that is logged. Each process keeps the first of them; the rest
 * is counted, and the counts are told by `belljar.counted` at the end and from time to time.
 * Whoever names such an event in the settings gets every one. */
#define _GNU_SOURCE
#include "often.h"

#include <stdatomic.h>
#include <string.h>

#include "encode.h"
#include "recorder.h"
#include "settings.h"

enum { FIRST = 64, AT_LEAST_EVERY = 1 << 16 };

static struct {
    const char *name, *second; /* and what the second argument must be */
    atomic_uint seen, untold;
} often[] = {
    {.name = "builtins.id"},
    {.name = "sys._getframe"},
    {.name = "sys._getframemodulename"},
    {.name = "object.__getattr__", .second = "f_code"}, /* every logging call asks frames for it */
};
enum { MANY = sizeof often / sizeof *often };

int bj_often(const char *name)
{
    for (int i = 0; i < MANY; i++)
        if (strcmp(often[i].name, name) == 0 && !bj_settings_names(name))
            return i + 1;
    return 0;
}

static void tell(int i)
{
    unsigned count = atomic_exchange(&often[i].untold, 0);
    unsigned char frame[BJ_HEADER + 128];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    if (count == 0)
        return;
    bj_put_array(&b, 4);
    bj_put_str(&b, "belljar.counted", sizeof "belljar.counted" - 1);
    bj_put_array(&b, 2);
    bj_put_str(&b, often[i].name, strlen(often[i].name));
    bj_put_uint(&b, count);
    bj_put_nil(&b);
    bj_put_nil(&b);
    bj_channel_send(frame, b.len - BJ_HEADER, BJ_EVENT, BJ_BULK);
}

static int second_is(PyObject *args, const char *text)
{
    PyObject *o = args == NULL || PyTuple_Size(args) < 2 ? NULL : PyTuple_GetItem(args, 1);
    const char *there = o != NULL && bj_exactly(o, &PyUnicode_Type) ? PyUnicode_AsUTF8AndSize(o, NULL) : NULL;
    return there != NULL && strcmp(there, text) == 0;
}

int bj_often_counts(int which, PyObject *args)
{
    int i = which - 1;
    if (often[i].second != NULL && !second_is(args, often[i].second))
        return 0;
    if (atomic_load_explicit(&often[i].seen, memory_order_relaxed) < FIRST) {
        atomic_fetch_add_explicit(&often[i].seen, 1, memory_order_relaxed);
        return 0;
    }
    if (atomic_fetch_add_explicit(&often[i].untold, 1, memory_order_relaxed) + 1 >= AT_LEAST_EVERY)
        tell(i);
    return 1;
}

void bj_often_tell(void)
{
    for (int i = 0; i < MANY; i++)
        tell(i);
}

void bj_often_forget(void)
{
    for (int i = 0; i < MANY; i++) {
        atomic_store(&often[i].seen, 0);
        atomic_store(&often[i].untold, 0);
    }
}
