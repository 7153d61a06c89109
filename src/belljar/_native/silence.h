/* Is the recorder's hook still called? Whoever takes it out of CPython's list, by writing into the
 * process's memory, is unheard from there on, but not unseen: the list is looked at wherever the
 * program passes through this library on its way to the kernel. */
#ifndef BELLJAR_SILENCE_H
#define BELLJAR_SILENCE_H
#include <stddef.h>

#include "pyapi.h"

struct bj_hook_entry { /* what CPython keeps of each hook, in every version from 3.8 on */
    struct bj_hook_entry *next;
    Py_AuditHookFunction function;
    void *data;
};

extern struct bj_hook_entry **bj_hook_list; /* where CPython's list begins; NULL: not known */
extern struct bj_hook_entry *bj_hook_entry; /* ours */
extern Py_AuditHookFunction bj_hook_function;

void bj_silence_begin(void *entry, Py_AuditHookFunction hook); /* it has just been added */
void bj_silence_end(void);     /* the hook heard that CPython clears its list */
void bj_silence_at_end(void);  /* the process ends: has the interpreter said so? */
void bj_silence_look_closer(void);

extern int bj_silence_lived; /* the interpreter was there: `python --version` ends without ever being */
static inline void bj_silence_heard(void)
{
    if (!bj_silence_lived)
        bj_silence_lived = Py_IsInitialized();
}

/* Costs two loads. At any time, on any thread, with or without the GIL. */
static inline void bj_silence_look(void)
{
    if (bj_hook_list != NULL &&
        (*bj_hook_list != bj_hook_entry || bj_hook_entry->function != bj_hook_function))
        bj_silence_look_closer();
}
#endif
