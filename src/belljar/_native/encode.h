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

/* The pieces of which these are made. A text: `len` bytes at hand of one that is `whole` long, in
 * characters, for bytes in bytes; `digest` is that of the whole, or NULL. */
struct bj_text {
    enum bj_kind kind;
    const char *at;
    size_t len, whole;
    const unsigned char *digest;
    PyObject *keep; /* what holds the bytes, if anything has to */
};
/* All of a str or bytes: 0, or -1. `keep` is to be dropped. */
int bj_whole_text(PyObject *o, struct bj_text *text);
void bj_put_cut(struct bj_buf *b, const struct bj_text *text, size_t max);
void bj_put_absent(struct bj_buf *b);
const char *bj_type_name(PyObject *type, PyObject **keep, size_t *len); /* "?": none that is text */

/* source.c: the text of programs, and what was made of it. */
void bj_put_source(struct bj_buf *b, PyObject *o, PyObject *file);
void bj_put_code(struct bj_buf *b, PyObject *o);
void bj_put_label(struct bj_buf *b, PyObject *o, size_t max); /* always text: "?" for no text */

/* Keeps room for `later` one-byte values while an earlier one is written. */
static inline void bj_reserve(struct bj_buf *b, size_t later) { b->cap -= later; }
static inline void bj_release(struct bj_buf *b, size_t later) { b->cap += later; }
#endif
