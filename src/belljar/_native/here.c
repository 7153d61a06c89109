/* The other sink: frames kept in memory for readers in this very process. Bounded, and never
 * waiting for anyone: under the lock there is nothing but copying. */
#define _GNU_SOURCE
#include "here.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "edits.h"
#include "pyapi.h"
#include "recorder.h"
#include "settings.h"
#include "window.h"

int PySys_Audit(const char *, const char *, ...) BJ_WEAK;

struct reader {
    struct reader *next;
    long number;
    char *patterns;
    size_t patterns_size;
    unsigned char *data;
    size_t size, room, held, limit; /* held: taken and not yet released */
    int stacks;
    uint64_t seq, drops;
};

atomic_int bj_here_readers;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct reader *readers;
static int stacks_without; /* what the record outside asked for */

static int asked(const struct reader *reader, const char *name)
{
    for (size_t at = 0; at < reader->patterns_size; at += strlen(reader->patterns + at) + 1)
        if (bj_matches(reader->patterns + at, name))
            return 1;
    return 0;
}

int bj_here_asked(const char *name)
{
    int found = 0;
    pthread_mutex_lock(&lock);
    for (const struct reader *r = readers; r != NULL && !found; r = r->next)
        found = asked(r, name);
    pthread_mutex_unlock(&lock);
    return found;
}

static int make_room(struct reader *r, size_t size)
{
    if (size > r->limit || r->held + r->size > r->limit - size)
        return 0;
    if (r->size + size <= r->room)
        return 1;
    size_t room = r->room == 0 ? 1 << 16 : r->room * 2;
    unsigned char *data = realloc(r->data, room);
    if (data == NULL)
        return 0;
    r->data = data;
    r->room = room;
    return 1;
}

void bj_here_keep(const char *name, unsigned char *frame, size_t body, int flags)
{
    int saved = errno;
    struct timespec clock;
    size_t size = BJ_HEADER + body;
    struct bj_header head = {
        .magic = htole16(BJ_MAGIC), .length = htole16((uint16_t)size), .kind = BJ_EVENT,
        .flags = (uint8_t)(flags & (BJ_REFUSED | BJ_TRUNCATED)), .version = htole16(BJ_VERSION),
        .pid = htole32((uint32_t)getpid()), .thread = htole32((uint32_t)syscall(SYS_gettid)),
    };
    pthread_mutex_lock(&lock);
    clock_gettime(CLOCK_REALTIME, &clock);
    head.time = htole64((uint64_t)clock.tv_sec * 1000000000u + (uint64_t)clock.tv_nsec);
    for (struct reader *r = readers; r != NULL; r = r->next) {
        if (!asked(r, name))
            continue;
        head.seq = htole64(++r->seq);
        if (make_room(r, size)) {
            memcpy(r->data + r->size, &head, BJ_HEADER);
            memcpy(r->data + r->size + BJ_HEADER, frame + BJ_HEADER, body);
            r->size += size;
        } else {
            r->drops++;
        }
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}

/* Under the lock. One event is encoded once: whoever wants most of the stack decides. */
static void settle_stacks(void)
{
    int most = stacks_without;
    for (const struct reader *r = readers; r != NULL; r = r->next)
        most = r->stacks > most ? r->stacks : most;
    bj_settings.stacks = most;
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

static void release(struct reader *r)
{
    free(r->patterns);
    free(r->data);
    free(r);
}

/* A hook of the program that raises RuntimeError at ours makes CPython drop ours and report success:
 * so ask whether it is called. */
static int hook_answers(void)
{
    static char name[] = "belljar.hook";
    struct reader probe = {.patterns = name, .patterns_size = sizeof name, .limit = 0};
    pthread_mutex_lock(&lock);
    probe.next = readers;
    readers = &probe;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&bj_here_readers, 1);
    if (PySys_Audit(name, NULL) < 0)
        PyErr_Clear(); /* another hook does not like it; C hooks come before those of Python */
    atomic_fetch_sub(&bj_here_readers, 1);
    pthread_mutex_lock(&lock);
    struct reader **at = &readers;
    while (*at != &probe)
        at = &(*at)->next;
    *at = probe.next;
    pthread_mutex_unlock(&lock);
    return probe.seq > 0;
}

static int add_hook(void)
{
    int had = bj_hook_is_there();
    if (bj_hook_add() < 0)
        return -1;
    if (had || hook_answers())
        return 0;
    bj_hook_gone();
    return -1;
}

static long open_reader(const char *patterns, size_t size, size_t limit, int stacks)
{
    static long last;
    static int forks;
    if (PySys_AddAuditHook == NULL)
        return BJ_HERE_NO_PYTHON;
    struct reader *r = calloc(1, sizeof *r);
    char *copy = malloc(size);
    if (r == NULL || copy == NULL) {
        free(copy);
        free(r);
        return BJ_HERE_MEMORY;
    }
    memcpy(copy, patterns, size);
    *r = (struct reader){.patterns = copy, .patterns_size = size, .limit = limit, .stacks = stacks};
    if (add_hook() < 0) {
        release(r);
        return BJ_HERE_REFUSED;
    }
    bj_edits_begin();
    pthread_mutex_lock(&lock);
    if (!forks)
        forks = pthread_atfork(before_fork, after_fork, after_fork) == 0;
    if (readers == NULL)
        stacks_without = bj_settings.stacks;
    long number = r->number = ++last;
    r->next = readers;
    readers = r;
    settle_stacks();
    atomic_fetch_add(&bj_here_readers, 1);
    pthread_mutex_unlock(&lock);
    return number;
}

static int take(long number, size_t released, unsigned char **data, size_t *size, uint64_t *drops)
{
    int found = -1;
    *data = NULL;
    *size = 0;
    pthread_mutex_lock(&lock);
    for (struct reader *r = readers; r != NULL && found < 0; r = r->next) {
        if (r->number != number)
            continue;
        r->held -= released < r->held ? released : r->held;
        r->held += r->size;
        *data = r->data;
        *size = r->size;
        *drops = r->drops;
        r->data = NULL;
        r->size = r->room = 0;
        found = 0;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static void close_reader(long number)
{
    struct reader *gone = NULL;
    pthread_mutex_lock(&lock);
    for (struct reader **at = &readers; *at != NULL && gone == NULL; at = &(*at)->next) {
        if ((*at)->number == number) {
            gone = *at;
            *at = gone->next;
            atomic_fetch_sub(&bj_here_readers, 1);
            settle_stacks();
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    if (gone != NULL)
        release(gone);
}

static int open_window(const char *text)
{
    if (PySys_AddAuditHook == NULL)
        return BJ_HERE_NO_PYTHON;
    if (add_hook() < 0)
        return BJ_HERE_REFUSED;
    return bj_window_set(text) < 0 ? BJ_HERE_TABLE : 0;
}

__attribute__((visibility("default"))) extern const struct bj_here belljar_here;
const struct bj_here belljar_here = {open_reader, take, close_reader, open_window};
