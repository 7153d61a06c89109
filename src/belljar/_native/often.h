/* Events that are counted after the first of them. */
#ifndef BELLJAR_OFTEN_H
#define BELLJAR_OFTEN_H
#include "pyapi.h"

int bj_often(const char *name);  /* what bj_often_counts takes, 0 for an event that is always kept */
/* 1: it was counted, and need not be kept. Needs no exception to be set. */
int bj_often_counts(int which, PyObject *args);
void bj_often_tell(void);        /* before a farewell */
void bj_often_forget(void);      /* in a child: these were the parent's */
#endif
