/* The pending page: shared memory in which frames may lie until the next write to the FIFO. They
 * survive this process there, and the collector reads them (never writes) when nothing else
 * comes. One process owns the page and alone stores into it, under the channel's lock; the
 * others write each frame. docs/protocol.md tells what the reader relies on. */
#define _GNU_SOURCE
#include "recorder.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STATE_LENGTH = 16 };

struct page {
    _Atomic uint64_t owner; /* pid, and its PID namespace's inode above it; 0: nobody */
    _Atomic uint64_t state; /* generation << 16 | length of what pends */
    unsigned char spare[48];
    unsigned char data[PIPE_BUF]; /* what pends must go out in one write */
};
_Static_assert(sizeof(struct page) <= BJ_PAGE, "the page holds it");

static struct page *page;
static const volatile unsigned char *same_process; /* zero in a child, however it was made */
static uint64_t generation;
static size_t length;

uint64_t bj_page_who(void)
{
    struct stat st;
    uint64_t names = stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
    return names << 32 | (uint32_t)getpid();
}

static struct page *map(int fd)
{
    struct stat st;
    void *at = MAP_FAILED;
    if (fd >= 0 && syscall(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= BJ_PAGE)
        at = mmap(NULL, BJ_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void begin(int fd)
{
    unsigned char *mark = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct page *found = mark == MAP_FAILED ? NULL : map(fd);
    if (found == NULL)
        return;
    uint64_t nobody = 0, us = bj_page_who();
    if (madvise(mark, 1, MADV_WIPEONFORK) != 0 || madvise(found, BJ_PAGE, MADV_DONTFORK) != 0 ||
        (!atomic_compare_exchange_strong(&found->owner, &nobody, us) && nobody != us)) {
        munmap(found, BJ_PAGE);
        return;
    }
    *mark = 1;
    same_process = mark;
    uint64_t state = atomic_load(&found->state);
    generation = state >> STATE_LENGTH;
    length = (size_t)(state & ((1u << STATE_LENGTH) - 1)); /* left by us, before an exec */
    page = found;
    if (length > sizeof page->data)
        bj_page_emptied();
}

void bj_page_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    begin(fd);
    if (fd >= 0)
        close(fd);
}

void bj_page_use(int fd)
{
    if (page != NULL && *same_process)
        munmap(page, BJ_PAGE); /* a copy has no mapping of it */
    page = NULL;
    generation = length = 0;
    if (fd >= 0)
        begin(fd);
}

static int usable(void) { return page != NULL && *same_process; }

static void publish(void)
{
    atomic_store_explicit(&page->state, generation << STATE_LENGTH | length, memory_order_release);
}

unsigned char *bj_page_room(size_t size)
{
    return usable() && size <= sizeof page->data - length ? page->data + length : NULL;
}

void bj_page_keep(size_t size)
{
    length += size;
    publish();
}

size_t bj_page_pending(const unsigned char **data)
{
    if (!usable())
        return 0;
    *data = page->data;
    return length;
}

void bj_page_emptied(void)
{
    length = 0;
    generation++;
    publish();
    /* A reader that sees a byte of the next frame sees the new generation, too. */
    atomic_thread_fence(memory_order_seq_cst);
}

void bj_page_leave(void)
{
    if (usable() && length == 0)
        atomic_store(&page->owner, 0);
    page = NULL;
}

void bj_page_forget(void) { page = NULL; }
