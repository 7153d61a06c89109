/* MessagePack from Python values, without running a byte of guest code. */
#ifndef BELLJAR_ENCODE_H
#define BELLJAR_ENCODE_H
#include "msgpack.h"
#include "pyapi.h"

enum { BJ_MAX_DEPTH = 4, BJ_MAX_ITEMS = 64, BJ_MAX_TEXT = 1024 };

/* Both write exactly one value, given room for one byte: text over `max` bytes is cut (ext 4),
 * what does not fit is nil, a foreign object is its type's name; `cut` tells of losses.
 * Exceptions that the encoder itself provokes are cleared: call with none set. */
void bj_text(struct bj_buf *b, const char *text, size_t len, size_t max);
void bj_value(struct bj_buf *b, PyObject *o, size_t max, int depth);

/* Keeps room for `later` one-byte values while an earlier one is written. */
static inline void bj_reserve(struct bj_buf *b, size_t later) { b->cap -= later; }
static inline void bj_release(struct bj_buf *b, size_t later) { b->cap += later; }
#endif
