#define _GNU_SOURCE
#include "starts.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encode.h"
#include "recorder.h"
#include "silence.h"

enum { PATH_TEXT = 1024, WORD_TEXT = 256, WORDS = 32 };

__thread int bj_start_announced, bj_start_served;

void bj_starts_forked(void) { bj_start_announced = 0; }

/* A name is searched in many places, each with an exec of its own: one announcement serves for all
 * that one child tries. */
static int was_announced(void)
{
    int me = (int)getpid();
    if (!bj_start_announced && bj_start_served != me)
        return 0;
    bj_start_announced = 0;
    bj_start_served = me;
    return 1;
}

void bj_starts(const char *path, char *const argv[])
{
    unsigned char frame[BJ_FRAME];
    char here[PATH_TEXT];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    size_t n = 0;
    bj_silence_look();
    if (path == NULL || !bj_channel_is_open() || was_announced() || !bj_channel_can_send())
        return;
    while (argv != NULL && n < WORDS && argv[n] != NULL)
        n++;
    bj_put_array(&b, 4);
    bj_put_str(&b, "belljar.exec", sizeof "belljar.exec" - 1);
    bj_put_array(&b, 2);
    bj_reserve(&b, n + 8 + PATH_TEXT);
    bj_text(&b, path, strlen(path), PATH_TEXT);
    bj_release(&b, n + 8 + PATH_TEXT);
    bj_put_array(&b, n);
    for (size_t i = 0; i < n; i++) {
        bj_reserve(&b, n + 8 - i + PATH_TEXT);
        bj_text(&b, argv[i], strlen(argv[i]), WORD_TEXT);
        bj_release(&b, n + 8 - i + PATH_TEXT);
    }
    bj_put_nil(&b);
    if (path[0] != '/' && strchr(path, '/') != NULL && getcwd(here, sizeof here) != NULL)
        bj_text(&b, here, strlen(here), PATH_TEXT);
    else
        bj_put_nil(&b);
    bj_channel_send(frame, b.len - BJ_HEADER, BJ_EVENT, BJ_CHECK | (b.cut ? BJ_TRUNCATED : 0));
}

/* These start a shell inside the C library, past the functions above. */
static void starts_shell(const char *command)
{
    char *const argv[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};
    if (command != NULL)
        bj_starts("/bin/sh", argv);
}

#define EXPORT __attribute__((visibility("default")))

EXPORT int system(const char *command)
{
    int (*real)(const char *);
    *(void **)&real = dlsym(RTLD_NEXT, "system");
    starts_shell(command);
    return real(command);
}

EXPORT FILE *popen(const char *command, const char *mode)
{
    FILE *(*real)(const char *, const char *);
    *(void **)&real = dlsym(RTLD_NEXT, "popen");
    starts_shell(command);
    return real(command, mode);
}
