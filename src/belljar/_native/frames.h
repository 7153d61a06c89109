/* Reading frames. */
#ifndef BELLJAR_FRAMES_H
#define BELLJAR_FRAMES_H
#include "recorder.h"

#define BJ_WHOLE ((const char *)0)
extern const char bj_partial[];
#define BJ_PARTIAL bj_partial

/* BJ_WHOLE: `*out` heads a whole frame. BJ_PARTIAL: more bytes are needed. Else: what is wrong.
 * A header is judged as soon as it is there, however few of the frame's bytes are. */
const char *bj_next_frame(const unsigned char *data, size_t size, struct bj_header *out);

/* The length of an event's name, which begins at `*name` in `body`; -1: it is not plain text. */
long bj_event_name(const unsigned char *body, size_t size, const unsigned char **name);
/* How many events a loss or a farewell tells of; 0 for a body that is neither. */
uint64_t bj_loss_count(const unsigned char *body, size_t size);
#endif
