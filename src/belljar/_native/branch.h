/* Branches of a live guest (docs/branches.md). A guest asks by audit events of its own, so that no
 * further extension has to be loaded where it runs; where no branches were granted, nothing listens. */
#ifndef BELLJAR_BRANCH_H
#define BELLJAR_BRANCH_H

#include "pyapi.h"

void bj_branch_begin(void); /* reads whether branches were granted */
int bj_branch_is_quiet(void); /* a copy that ends at once: it does not speak */
void bj_branch_begins(void);  /* in a copy; nothing where it is no branch */
int bj_branch_asked(const char *name);
int bj_branch_forbids(const char *name); /* -1: an exception is set */
int bj_branch(const char *name, PyObject *args); /* -1: an exception is set */

/* reseed.c */
void reseed_openssl(void);

#endif
