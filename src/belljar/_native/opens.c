#define _GNU_SOURCE
#include "opens.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "encode.h"
#include "recorder.h"
#include "settings.h"
#include "silence.h"

enum { PATH_TEXT = 1024 };
__thread int bj_open_announced;

int bj_opens_flags(const char *mode)
{
    int flags = mode[0] == 'r' ? O_RDONLY : O_WRONLY | O_CREAT | (mode[0] == 'a' ? O_APPEND : O_TRUNC);
    return strchr(mode, '+') != NULL ? (flags & ~O_ACCMODE) | O_RDWR : flags;
}

/* CPython itself: which descriptors there are to close, how many threads there are at a fork. */
static int is_housekeeping(const char *path)
{
    return strcmp(path, "/proc/self/fd") == 0 || strcmp(path, "/proc/self/stat") == 0;
}

void bj_opens_tell(int at, const char *path, int flags)
{
    unsigned char frame[BJ_FRAME];
    char here[PATH_TEXT];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    /* Only while there is an interpreter: what it reads to begin is not the program's doing. */
    if (path == NULL || bj_hook_entry == NULL || !bj_has_greeted() || !Py_IsInitialized() || bj_select("belljar.open") == BJ_SKIP ||
        is_housekeeping(path) || !bj_channel_can_send())
        return;
    bj_put_array(&b, 4);
    bj_put_str(&b, "belljar.open", sizeof "belljar.open" - 1);
    bj_put_array(&b, 3);
    bj_text(&b, path, strlen(path), PATH_TEXT);
    bj_put_nil(&b);
    bj_put_int(&b, flags);
    bj_put_nil(&b);
    if (path[0] != '/' && at == AT_FDCWD && getcwd(here, sizeof here) != NULL)
        bj_text(&b, here, strlen(here), PATH_TEXT);
    else
        bj_put_nil(&b);
    bj_channel_send(frame, b.len - BJ_HEADER, BJ_EVENT, BJ_BULK | (b.cut ? BJ_TRUNCATED : 0));
}
