/* Where in the program's source an event was raised, through public functions alone. */
#ifndef BELLJAR_STACK_H
#define BELLJAR_STACK_H
#include "encode.h"

enum { BJ_FILE_TEXT = 512, BJ_NAME_TEXT = 128, BJ_DEEPEST = 48 };

/* In 3.8 reading an attribute of a frame is itself an event (object.__getattr__), which the
 * hook must not answer by reading again: true while that happens on this thread. */
int bj_asking(void);
int bj_has_thread_state(void);

/* What frames and code objects tell; C code alone, their types cannot be patched. A new
 * reference, or NULL with no exception set. */
enum bj_attribute { BJ_CODE, BJ_BACK, BJ_FILE_NAME, BJ_NAME, BJ_LOCALS, BJ_VARNAMES, BJ_FREEVARS,
                    BJ_CELLVARS, BJ_FLAGS, BJ_ATTRIBUTES };
PyObject *bj_attribute(PyObject *o, enum bj_attribute which);

/* The frame that answers for an event, [file, line, function], or nil: the nearest one that is
 * neither the standard library's nor the sandbox's own, where there is one. What the machinery
 * reads is done for the module that imports (BJ_READS), and what a module of the library imports
 * is its own doing (BJ_IMPORTS); for everything else whoever lies beyond an import answers. */
enum bj_reach { BJ_IMPORTS, BJ_READS, BJ_ACTS };
void bj_put_frame(struct bj_buf *b, enum bj_reach reach);

/* The `most` innermost frames without import machinery, as many as there is room for. */
void bj_put_stack(struct bj_buf *b, int most, int locals);

/* locals.c: [name, value, ...] of simple values; 0 where there are none, and nothing is written. */
int bj_put_locals(struct bj_buf *b, PyObject *frame, PyObject *code);

/* places.c: whose code is this? */
enum bj_place { BJ_PROGRAM, BJ_LIBRARY, BJ_MACHINERY };
enum bj_place bj_place_of(PyObject *code, PyObject **file); /* the file only where it was looked at */
/* The interpreter ended and took along what is kept of its objects. */
void bj_stack_forget(void);
void bj_sites_forget(void);
void bj_places_forget(void);

int bj_may_keep(void); /* references to code objects: in the main interpreter, where 3.8 may, too */
int bj_release_later(PyObject *code);

/* sites.c: the encoded frame of a place in the program that raises event after event. Nothing is
 * written for code that is further from the program than `at_most`. */
int bj_put_site(struct bj_buf *b, const PyObject *code, int instruction, enum bj_place at_most);
void bj_learn_site(PyObject *code, int instruction, enum bj_place place, const unsigned char *bytes,
                   size_t size);
#endif
