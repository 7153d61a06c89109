/* MessagePack, the writing half: bytes into a buffer, no Python. Each writer puts the whole value
 * and returns 0, or puts nothing and returns -1 where there is no room. */
#ifndef BELLJAR_MSGPACK_H
#define BELLJAR_MSGPACK_H
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    BJ_EXT_SURROGATES = 1, BJ_EXT_BIGINT = 2, BJ_EXT_TYPE = 3, BJ_EXT_CUT = 4, BJ_EXT_CODE = 5,
    BJ_EXT_SOURCE = 6, BJ_EXT_SOCKET = 7
};

struct bj_buf {
    unsigned char *data;
    size_t len, cap;
    size_t limit; /* data grows by realloc up to here; 0: data is fixed */
    int cut;      /* something was left out */
};

enum bj_kind { BJ_STR, BJ_BIN, BJ_SURROGATES }; /* the three forms of text */

static inline unsigned char *bj_room(struct bj_buf *b, size_t n)
{
    if (n > b->cap - b->len) {
        if (b->limit == 0 || n > b->limit || b->len > b->limit - n) {
            b->cut = 1;
            return NULL;
        }
        size_t cap = (b->len + n) * 2 < b->limit ? (b->len + n) * 2 : b->limit;
        unsigned char *data = realloc(b->data, cap);
        if (data == NULL) {
            b->cut = 1;
            return NULL;
        }
        b->data = data;
        b->cap = cap;
    }
    b->len += n;
    return b->data + b->len - n;
}

/* One byte of type and `width` bytes of big-endian number. */
static inline int bj_put(struct bj_buf *b, unsigned char type, uint64_t number, size_t width)
{
    unsigned char *at = bj_room(b, 1 + width);
    if (at == NULL)
        return -1;
    *at = type;
    for (size_t i = width; i > 0; i--, number >>= 8) /* a copy of unknown size would be a call */
        at[i] = (unsigned char)number;
    return 0;
}

static inline int bj_put_nil(struct bj_buf *b) { return bj_put(b, 0xc0, 0, 0); }
static inline int bj_put_bool(struct bj_buf *b, int value) { return bj_put(b, value ? 0xc3 : 0xc2, 0, 0); }

static inline int bj_put_float(struct bj_buf *b, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bj_put(b, 0xcb, bits, 8);
}

static inline size_t bj_width_of(uint64_t v) { return v < 0x100 ? 1 : v < 0x10000 ? 2 : v >> 32 ? 8 : 4; }
static inline unsigned char bj_step_of(size_t width) { return width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3; }

static inline int bj_put_uint(struct bj_buf *b, uint64_t v)
{
    if (v < 0x80)
        return bj_put(b, (unsigned char)v, 0, 0);
    return bj_put(b, (unsigned char)(0xcc + bj_step_of(bj_width_of(v))), v, bj_width_of(v));
}

static inline int bj_put_int(struct bj_buf *b, int64_t v)
{
    if (v >= 0)
        return bj_put_uint(b, (uint64_t)v);
    if (v >= -32)
        return bj_put(b, (unsigned char)v, 0, 0);
    size_t width = v >= INT8_MIN ? 1 : v >= INT16_MIN ? 2 : v >= INT32_MIN ? 4 : 8;
    return bj_put(b, (unsigned char)(0xd0 + bj_step_of(width)), (uint64_t)v, width);
}

static inline int bj_put_count(struct bj_buf *b, size_t n, unsigned char small, unsigned char large)
{
    if (n < 16)
        return bj_put(b, (unsigned char)(small | n), 0, 0);
    return n < 0x10000 ? bj_put(b, large, n, 2) : bj_put(b, (unsigned char)(large + 1), n, 4);
}

static inline int bj_put_array(struct bj_buf *b, size_t items) { return bj_put_count(b, items, 0x90, 0xdc); }
static inline int bj_put_map(struct bj_buf *b, size_t items) { return bj_put_count(b, items, 0x80, 0xde); }

static inline int bj_put_ext_head(struct bj_buf *b, size_t len, unsigned char type)
{
    size_t width = bj_width_of(len);
    if (bj_put(b, (unsigned char)(0xc7 + bj_step_of(width)), len, width) < 0)
        return -1;
    return bj_put(b, type, 0, 0);
}

static inline size_t bj_head_size(enum bj_kind kind, size_t len)
{
    if (kind == BJ_STR && len < 32)
        return 1;
    return 1 + bj_width_of(len) + (kind == BJ_SURROGATES);
}

static inline int bj_put_head(struct bj_buf *b, enum bj_kind kind, size_t len)
{
    if (kind == BJ_SURROGATES)
        return bj_put_ext_head(b, len, BJ_EXT_SURROGATES);
    if (kind == BJ_STR && len < 32)
        return bj_put(b, (unsigned char)(0xa0 | len), 0, 0);
    size_t width = bj_width_of(len);
    return bj_put(b, (unsigned char)((kind == BJ_STR ? 0xd9 : 0xc4) + bj_step_of(width)), len, width);
}

static inline int bj_put_text(struct bj_buf *b, enum bj_kind kind, const char *text, size_t len)
{
    if (len > UINT32_MAX)
        return -1;
    size_t before = b->len;
    unsigned char *at = NULL;
    if (bj_put_head(b, kind, len) == 0)
        at = bj_room(b, len);
    if (at == NULL) {
        b->len = before;
        return -1;
    }
    memcpy(at, text, len);
    return 0;
}

static inline int bj_put_str(struct bj_buf *b, const char *text, size_t len) { return bj_put_text(b, BJ_STR, text, len); }
static inline int bj_put_bin(struct bj_buf *b, const char *bytes, size_t len) { return bj_put_text(b, BJ_BIN, bytes, len); }

#endif
