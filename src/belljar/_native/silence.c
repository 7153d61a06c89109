#define _GNU_SOURCE
#include "silence.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "encode.h"
#include "recorder.h"

extern char _PyRuntime BJ_WEAK;
enum { HOOKS = 64 }; /* more in the list, and ours not among them: it is no list any more */

struct bj_hook_entry **bj_hook_list, *bj_hook_entry;
Py_AuditHookFunction bj_hook_function;
static atomic_int told;
static int heard_the_end;
int bj_silence_lived;

void bj_silence_begin(void *entry, Py_AuditHookFunction hook)
{
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    bj_hook_list = NULL;
    atomic_store(&told, 0);
    heard_the_end = bj_silence_lived = 0;
    if (entry == NULL || &_PyRuntime == NULL ||
        dladdr1(&_PyRuntime, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0 || symbol == NULL)
        return;
    uintptr_t *at = (uintptr_t *)&_PyRuntime, *end = at + symbol->st_size / sizeof *at;
    while (at < end && *at != (uintptr_t)entry)
        at++;
    if (at == end)
        return;
    bj_hook_entry = entry;
    bj_hook_function = hook;
    if (bj_hook_entry->function == hook)
        bj_hook_list = (struct bj_hook_entry **)at;
}

void bj_silence_end(void)
{
    heard_the_end = 1;
    bj_hook_list = NULL;
}

static void tell(const char *why)
{
    unsigned char frame[BJ_HEADER + 128];
    struct bj_buf b = {.data = frame, .len = BJ_HEADER, .cap = sizeof frame};
    if (!bj_channel_can_send() || atomic_exchange(&told, 1))
        return;
    bj_put_array(&b, 4);
    bj_put_str(&b, "belljar.silenced", sizeof "belljar.silenced" - 1);
    bj_put_array(&b, 1);
    bj_put_str(&b, why, strlen(why));
    bj_put_nil(&b);
    bj_put_nil(&b);
    bj_channel_send(frame, b.len - BJ_HEADER, BJ_EVENT, BJ_CHECK | BJ_SILENCED);
}

void bj_silence_look_closer(void)
{
    const struct bj_hook_entry *entry = bj_hook_list == NULL ? NULL : *bj_hook_list;
    for (int i = 0; entry != NULL && entry != bj_hook_entry && i < HOOKS; i++)
        entry = entry->next;
    if (bj_hook_list != NULL && (entry != bj_hook_entry || entry->function != bj_hook_function))
        tell("the hook was taken out of the interpreter's list");
}

void bj_silence_at_end(void)
{
    if (bj_hook_entry != NULL && bj_silence_lived && !heard_the_end && !Py_IsInitialized())
        tell("the interpreter ended and the hook did not hear of it");
    bj_silence_look();
}
