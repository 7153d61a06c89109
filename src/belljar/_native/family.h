/* What kind of socket an address belongs to: its shape alone does not tell. */
#ifndef BELLJAR_FAMILY_H
#define BELLJAR_FAMILY_H
#include "encode.h"

/* Writes ext 7, [type name, family, type], for a socket of the interpreter's own type or one
 * derived from it; 0 for anything else, and nothing is written. */
int bj_put_socket(struct bj_buf *b, PyObject *o);
void bj_family_forget(void); /* the interpreter that it was found in is gone */
#endif
