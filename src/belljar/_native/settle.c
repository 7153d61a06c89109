/* Before a template is forked: fill the holes in its heaps. What a guest allocates would else go
 * into hundreds of half-empty pages, each of which the kernel copies for it at the first write. */
#include <Python.h>

#include "zygote.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

enum { CLASS = 16, LARGEST = 512, MOST = 1 << 20 /* bytes of a size */, PAGE = 4096, FIRST = 48, BINNED = 8192 };

/* Small objects of CPython (obmalloc.c): one size to a pool, whose first block lies behind a header.
 * Blocks that come one behind the other from there are of a pool that was empty. */
static void fill_pools(size_t size)
{
    uintptr_t last = 0;
    int row = 0;
    for (size_t filled = 0; filled < MOST && row < 3; filled += size) {
        uintptr_t at = (uintptr_t)PyObject_Malloc(size); /* stays: it is what fills the hole */
        if (!at)
            return;
        row = at % PAGE == FIRST ? 1 : row > 0 && at == last + size ? row + 1 : 0;
        last = at;
    }
}

/* Larger ones: what the C library keeps free below its topmost piece. */
static void fill_bins(void)
{
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33) /* mallinfo2 */
    for (size_t size = BINNED; size >= 2 * CLASS; size -= size > 1032 ? 256 : CLASS)
        for (size_t filled = 0; filled < MOST; filled += size) {
            size_t top = mallinfo2().keepcost;
            void *block = malloc(size - sizeof(void *));
            if (!block || mallinfo2().keepcost != top) {
                free(block); /* of the topmost piece: there is no hole of that size left */
                break;
            }
        }
#endif
#endif
}

void settle_heaps(void)
{
    fill_bins();
    for (size_t size = CLASS; size <= LARGEST; size += CLASS)
        fill_pools(size);
}
