/* What is known of an event by its name alone: decided when a name is first seen, remembered
 * from then on, so that an event costs the same whatever the number of patterns. */
#ifndef BELLJAR_NAMES_H
#define BELLJAR_NAMES_H
#include <stdint.h>

#include "window.h"

enum { BJ_MEMO_NAME = 64 };

/* URGENT: a policy may have to decide, never pends. SOURCE: the first argument is the text of a
 * program, the second says from where. RESTORE: a shell follows, with the environment as it is
 * then. ADDRESS: the second argument is a socket's address. STARTS: a program is about to be started. */
enum { BJ_NAME_URGENT = 1, BJ_NAME_SOURCE = 2, BJ_NAME_RESTORE = 4, BJ_NAME_ADDRESS = 8,
       BJ_NAME_STARTS = 16 };

struct bj_name {
    uint64_t hash;
    const struct bj_file_event *file; /* NULL: names no paths */
    uint16_t first;                   /* bytes kept of the first argument */
    uint8_t told;                     /* arguments that are recorded; nil for the rest */
    uint8_t action;                   /* enum bj_action */
    uint8_t flags;
    uint8_t makes;  /* enum bj_makes */
    uint8_t often;  /* not 0: bj_often_counts says whether it is kept */
    uint8_t length; /* 0: not remembered, `name` is empty */
    char name[BJ_MEMO_NAME];
};

/* Any thread, no lock, nothing allocated. `spare` is filled and returned for names that are not
 * remembered: too long, or there are too many. */
const struct bj_name *bj_know(const char *name, struct bj_name *spare);
#endif
