/* Which dictionaries are watched, and what they are called. */
#ifndef BELLJAR_HOLDERS_H
#define BELLJAR_HOLDERS_H

enum { BJ_HOLDER_TEXT = 96 };

struct bj_holder {
    char text[BJ_HOLDER_TEXT]; /* "socket", "socket.socket", "sys.modules" */
    int is_class, module;      /* the module's place in the list of edits.c */
};

/* 0: it was not known, and there was room. `name`: of a class in the module, or NULL. */
int bj_holder_note(const void *dict, const char *module, const char *name, int index);
int bj_holder_find(const void *dict, struct bj_holder *out);
void bj_holder_forget(const void *dict); /* it is gone, and another may get its address */
void bj_holders_clear(void);
#endif
