/* Edits of modules and classes, which raise no audit event: reported as `belljar.edit`. */
#ifndef BELLJAR_EDITS_H
#define BELLJAR_EDITS_H
#include "pyapi.h"

void bj_edits_try(const char *name);
void bj_edits_begin(void); /* watch this interpreter from now on, if that is possible */

/* Called for every event; an exception may be set, and there may be no thread yet. */
static inline void bj_edits_watch(const char *name)
{
    if (name[0] == 'i' || name[0] == 'c')
        bj_edits_try(name);
}

/* recorder.c: as if the interpreter had raised it. */
int bj_record(const char *name, PyObject *args);
#endif
