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
#endif
