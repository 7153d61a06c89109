/* A table by address, of fixed size; nothing of Python's is called under its lock. */
#include "holders.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOLDERS = 2048 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t used;
static struct {
    const void *dict;
    struct bj_holder *what; /* NULL: removed, the search goes on */
} holders[HOLDERS];

static size_t slot_of(const void *dict) { return ((uintptr_t)dict >> 4) * 2654435761u % HOLDERS; }

/* Where it is, or where it can be put: a slot that became free on the way, else the end of the
 * search, which there is, since at most half of the slots are ever used. */
static size_t place_of(const void *dict)
{
    size_t at = slot_of(dict), free_one = HOLDERS;
    for (; holders[at].dict != NULL; at = (at + 1) % HOLDERS) {
        if (holders[at].dict == dict && holders[at].what != NULL)
            return at;
        if (holders[at].what == NULL && free_one == HOLDERS)
            free_one = at;
    }
    return free_one < HOLDERS ? free_one : at;
}

/* Where interpreters have no lock in common, another thread may hold ours during a fork. */
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

int bj_holder_note(const void *dict, const char *module, const char *name, int index)
{
    static int forks;
    int failed = -1;
    pthread_mutex_lock(&lock);
    if (!forks)
        forks = pthread_atfork(before_fork, after_fork, after_fork) == 0;
    size_t at = place_of(dict);
    if (holders[at].what == NULL && (holders[at].dict != NULL || used < HOLDERS / 2)) {
        struct bj_holder *what = malloc(sizeof *what);
        if (what != NULL) {
            snprintf(what->text, sizeof what->text, name == NULL ? "%s" : "%s.%s", module, name);
            what->is_class = name != NULL;
            what->module = index;
            used += holders[at].dict == NULL;
            holders[at].dict = dict;
            holders[at].what = what;
            failed = 0;
        }
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

int bj_holder_find(const void *dict, struct bj_holder *out)
{
    pthread_mutex_lock(&lock);
    const struct bj_holder *what = holders[place_of(dict)].what;
    if (what != NULL)
        *out = *what;
    pthread_mutex_unlock(&lock);
    return what != NULL;
}

void bj_holder_forget(const void *dict)
{
    pthread_mutex_lock(&lock);
    size_t at = place_of(dict);
    free(holders[at].what);
    holders[at].what = NULL;
    pthread_mutex_unlock(&lock);
}

void bj_holders_clear(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < HOLDERS; i++)
        free(holders[i].what);
    memset(holders, 0, sizeof holders);
    used = 0;
    pthread_mutex_unlock(&lock);
}
