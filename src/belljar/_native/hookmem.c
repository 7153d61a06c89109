/* The memory of the hook's own entry. CPython allocates it when the hook is added, before it has
 * read which allocator to use, and frees it at the very end with the one that it chose since:
 * with `-X dev` or PYTHONMALLOC=debug that one aborts the process, because it did not make the
 * block. So the allocator that made it is remembered, and gives it back. */
#include "hookmem.h"

#include <stddef.h>

#include "silence.h"

enum { RAW = 0 }; /* PYMEM_DOMAIN_RAW */
struct allocator { /* PyMemAllocatorEx */
    void *ctx;
    void *(*malloc)(void *, size_t);
    void *(*calloc)(void *, size_t, size_t);
    void *(*realloc)(void *, void *, size_t);
    void (*free)(void *, void *);
};
void PyMem_GetAllocator(int, struct allocator *) BJ_WEAK;
void PyMem_SetAllocator(int, struct allocator *) BJ_WEAK;

static struct allocator maker, chosen; /* of the entry, and of all the rest */
static void *entry;

static void *note_malloc(void *unused, size_t size)
{
    (void)unused;
    return entry = maker.malloc(maker.ctx, size);
}

static void *pass_calloc(void *unused, size_t n, size_t size)
{
    (void)unused;
    return maker.calloc(maker.ctx, n, size);
}

static void *pass_realloc(void *unused, void *block, size_t size)
{
    (void)unused;
    return maker.realloc(maker.ctx, block, size);
}

static void pass_free(void *unused, void *block)
{
    (void)unused;
    maker.free(maker.ctx, block);
}

/* From the last event on: CPython is about to free its hooks. */
static void free_entry(void *unused, void *block)
{
    (void)unused;
    if (block != entry || block == NULL) {
        chosen.free(chosen.ctx, block);
        return;
    }
    entry = NULL;
    PyMem_SetAllocator(RAW, &chosen);
    maker.free(maker.ctx, block);
}

int bj_hookmem_add(Py_AuditHookFunction hook)
{
    if (PyMem_SetAllocator == NULL || Py_IsInitialized()) /* then it has been chosen */
        return PySys_AddAuditHook(hook, NULL);
    struct allocator noting = {NULL, note_malloc, pass_calloc, pass_realloc, pass_free};
    PyMem_GetAllocator(RAW, &maker);
    PyMem_SetAllocator(RAW, &noting);
    int failed = PySys_AddAuditHook(hook, NULL);
    PyMem_SetAllocator(RAW, &maker);
    bj_silence_begin(failed ? NULL : entry, hook);
    return failed;
}

void bj_hookmem_ending(void)
{
    if (entry == NULL)
        return;
    PyMem_GetAllocator(RAW, &chosen);
    if (chosen.free == maker.free && chosen.ctx == maker.ctx)
        return;
    struct allocator last = chosen; /* the same in all but how it frees */
    last.free = free_entry;
    PyMem_SetAllocator(RAW, &last);
}
