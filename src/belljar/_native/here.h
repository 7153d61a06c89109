/* Recording into this process's own memory: `belljar.watching()`. The extension finds the three
 * functions by the one symbol that the library exports for it. */
#ifndef BELLJAR_HERE_H
#define BELLJAR_HERE_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { BJ_HERE_REFUSED = -1, BJ_HERE_MEMORY = -2, BJ_HERE_NO_PYTHON = -3, BJ_HERE_TABLE = -4 };

struct bj_here {
    /* `patterns`: names with `*`, each ended by NUL, `size` bytes in all; `limit`: bytes that may
     * be held. Returns the reader's number, or one of the above. Needs the GIL. */
    long (*open)(const char *patterns, size_t size, size_t limit, int stacks);
    /* What has come: whole frames, to be given to `free`, or NULL. They count as held until they
     * are `released`. -1: there is no such reader. */
    int (*take)(long reader, size_t released, unsigned char **data, size_t *size, uint64_t *drops);
    void (*close)(long reader);
    /* Judge files by this table, for good; the text is copied. Returns as `open`, 0 where it is done,
     * and -4 for a table that cannot be understood. Needs the GIL. */
    int (*window)(const char *table);
};

/* here.c, for the hook */
extern atomic_int bj_here_readers;
int bj_here_asked(const char *name);
void bj_here_keep(const char *name, unsigned char *frame, size_t body, int flags);

static inline int bj_here_wants(const char *name)
{
    return atomic_load_explicit(&bj_here_readers, memory_order_relaxed) && bj_here_asked(name);
}
#endif
