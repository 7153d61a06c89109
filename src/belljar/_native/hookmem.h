#ifndef BELLJAR_HOOKMEM_H
#define BELLJAR_HOOKMEM_H

#include "pyapi.h"

/* The last event that a hook hears: then CPython frees its hooks. */
#define BJ_LAST_EVENT "cpython._PySys_ClearAuditHooks"

/* PySys_AddAuditHook, safe with every allocator that CPython may choose later. */
int bj_hookmem_add(Py_AuditHookFunction hook);
/* To be called when the hook hears BJ_LAST_EVENT. */
void bj_hookmem_ending(void);
#endif
