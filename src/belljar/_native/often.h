/* Events that are counted after the first of them. */
#ifndef BELLJAR_OFTEN_H
#define BELLJAR_OFTEN_H

int bj_often(const char *name);  /* what bj_often_counts takes, 0 for an event that is always kept */
int bj_often_counts(int which);  /* 1: it was counted, and need not be kept */
void bj_often_tell(void);        /* before a farewell */
void bj_often_forget(void);      /* in a child: these were the parent's */
#endif
