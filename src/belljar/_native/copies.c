#define _GNU_SOURCE
#include "copies.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder.h"

volatile unsigned char *bj_copies_mark;

void bj_copies_note(void)
{
    if (bj_copies_mark == NULL) {
        size_t size = (size_t)sysconf(_SC_PAGESIZE);
        void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED || madvise(page, size, MADV_WIPEONFORK) != 0)
            return;
        bj_copies_mark = page;
    }
    *bj_copies_mark = 1;
}

void bj_copies_forked(void)
{
    *bj_copies_mark = 1;
    bj_forked();
}
