/* Waiting for an answer: the process sends an event and sleeps on a word of a file that it shares
 * with the collector, until the answer to this very event stands there or the deadline passes. No
 * answer is a refusal. A process has one slot and asks one thing at a time. */
#define _GNU_SOURCE
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "answers.h"
#include "settings.h"

struct slot {
    _Atomic uint64_t owner; /* as `bj_page_who` tells it; 0: nobody */
    _Atomic uint32_t word;  /* the last answer */
    uint32_t spare;
};
_Static_assert(sizeof(struct slot) == BJ_SLOT, "the file is an array of slots");

/* How long to sleep (ns) before looking whether the collector still lives. */
enum { LOOK = 50000000 };

static struct slot *slots;
static uint64_t owner; /* who has claimed `mine` */
static int mine = -1;  /* index and claim */
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER, claiming = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now(void)
{
    struct timespec clock;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    return (uint64_t)clock.tv_sec * 1000000000u + (uint64_t)clock.tv_nsec;
}

static void map(int fd)
{
    struct stat st;
    void *at = MAP_FAILED;
    if (fd >= 0 && syscall(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= BJ_ANSWERS)
        at = mmap(NULL, BJ_ANSWERS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    slots = at == MAP_FAILED ? NULL : at;
}

int bj_answers_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    map(fd);
    if (fd >= 0)
        close(fd);
    return slots == NULL ? -1 : 0;
}

void bj_answers_use(int fd)
{
    if (slots != NULL)
        munmap(slots, BJ_ANSWERS);
    map(fd);
    mine = -1;
}

/* Only of processes in our own PID namespace can we tell. */
static int is_dead(uint64_t other, uint64_t us)
{
    return other >> 32 == us >> 32 && kill((pid_t)(uint32_t)other, 0) < 0 && errno == ESRCH;
}

/* A free slot, or one that is ours from before an exec; where there is none, a dead process's. */
static int find(uint64_t us)
{
    for (int dead = 0; dead < 2; dead++)
        for (uint32_t i = 0; i < BJ_SLOTS; i++) {
            uint32_t at = ((uint32_t)us + i) % BJ_SLOTS;
            uint64_t who = atomic_load(&slots[at].owner);
            if (who != 0 && who != us && !(dead && is_dead(who, us)))
                continue;
            if (atomic_compare_exchange_strong(&slots[at].owner, &who, us))
                return (int)at;
        }
    return -1;
}

int bj_answers_slot(void)
{
    if (slots == NULL)
        return -1;
    int saved = errno;
    pthread_mutex_lock(&claiming);
    if (mine < 0 || (uint32_t)owner != (uint32_t)getpid()) { /* a raw clone has none, either */
        owner = bj_page_who();
        int index = find(owner);
        uint32_t claim = (uint32_t)(now() >> 10) & ((1u << BJ_CLAIM_BITS) - 1);
        mine = index < 0 ? -1 : (int)(claim << BJ_INDEX_BITS | (uint32_t)index);
    }
    int slot = mine;
    pthread_mutex_unlock(&claiming);
    errno = saved;
    return slot;
}

void bj_answers_leave(void)
{
    if (slots == NULL || mine < 0 || pthread_mutex_trylock(&asking) != 0)
        return; /* a thread still waits there: whoever needs the slot takes it from the dead */
    uint64_t us = owner;
    if ((uint32_t)us == (uint32_t)getpid()) {
        atomic_compare_exchange_strong(&slots[mine % BJ_SLOTS].owner, &us, 0);
        mine = -1;
    }
    pthread_mutex_unlock(&asking);
}

void bj_answers_forget(void)
{
    pthread_mutex_init(&asking, NULL); /* another thread of the parent may have held them */
    pthread_mutex_init(&claiming, NULL);
    mine = -1;
}

static int wait_for(int slot, uint64_t seq)
{
    _Atomic uint32_t *at = &slots[slot % BJ_SLOTS].word;
    uint32_t right = bj_answer_word((uint32_t)slot, seq, 0);
    uint64_t end = now() + (uint64_t)bj_settings.deadline_ms * 1000000u;
    for (;;) {
        uint32_t word = atomic_load(at);
        if ((word & ~3u) == right && (word & 3) != 0)
            return (int)(word & 3);
        uint64_t time = now();
        if (time >= end)
            return BJ_LATE;
        uint64_t next = end - time < LOOK ? end : time + LOOK;
        struct timespec until = {.tv_sec = (time_t)(next / 1000000000u),
                                 .tv_nsec = (long)(next % 1000000000u)};
        if (syscall(SYS_futex, at, FUTEX_WAIT_BITSET, word, &until, NULL,
                    FUTEX_BITSET_MATCH_ANY) == 0 || errno == EAGAIN || errno == EINTR)
            continue;
        if (errno != ETIMEDOUT) /* no futex here: look again and again */
            clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 1000000}, NULL);
        if (!bj_channel_is_heard())
            return BJ_LATE;
    }
}

int bj_channel_ask(unsigned char *frame, size_t body, int flags)
{
    int saved = errno, verdict = BJ_LATE, slot = bj_answers_slot();
    pthread_mutex_lock(&asking);
    if (slot >= 0)
        atomic_store(&slots[slot % BJ_SLOTS].word, 0);
    flags = (flags & ~BJ_BULK) | BJ_CHECK | BJ_WAITS;
    uint64_t seq = bj_channel_send(frame, body, BJ_EVENT, flags);
    if (slot >= 0 && seq > 0)
        verdict = wait_for(slot, seq);
    pthread_mutex_unlock(&asking);
    errno = saved;
    return verdict;
}
