/* The window for code that was not compiled from source here: crafted bytecode reads and writes
 * raw memory. Refused to callers outside the runtime; what it could do meets the walls. */
#ifndef BELLJAR_BYTECODE_H
#define BELLJAR_BYTECODE_H
#include "pyapi.h"

enum bj_makes { BJ_MAKES_NOTHING, BJ_MAKES_CODE, BJ_UNMARSHALS, BJ_SAYS_RUNTIME };
enum bj_makes bj_makes(const char *name);

/* The first "belljar.runtime" event: its arguments are the directories, with a slash at their ends, whose
 * code may. 0 for any later one. */
int bj_bytecode_guard(PyObject *args);
/* Whether the code that raised the event may; while no runtime was named, all may. */
int bj_bytecode_may(enum bj_makes makes);
void bj_bytecode_raise(void);
#endif
