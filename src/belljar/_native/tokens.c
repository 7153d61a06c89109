/* The head of each MessagePack value, as its specification lists them (msgpack/spec.md). Knows no
 * Python, so that the fuzzer can drive it alone. Maps are none of ours. */
#include "tokens.h"

#include <string.h>

static uint64_t big_endian(const unsigned char *at, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | at[i];
    return value;
}

/* `head` bytes, then `length` more that must be there. */
static size_t span(const unsigned char *data, size_t size, size_t head, uint64_t length,
                   struct bj_token *out)
{
    if (length > size - head)
        return 0;
    out->length = (size_t)length;
    out->at = data + head;
    return head + (size_t)length;
}

static size_t number(const unsigned char *data, size_t width, struct bj_token *out)
{
    uint64_t bits = big_endian(data + 1, width);
    switch (data[0]) {
    case 0xca: {
        uint32_t half = (uint32_t)bits;
        float real;
        memcpy(&real, &half, sizeof real);
        out->kind = BJ_FLOAT;
        out->real = (double)real;
        break;
    }
    case 0xcb:
        out->kind = BJ_FLOAT;
        memcpy(&out->real, &bits, sizeof out->real);
        break;
    default:
        out->kind = BJ_UINT;
        out->uint = bits;
        if (data[0] >= 0xd0 && bits >> (8 * width - 1)) { /* its sign, in all of the 64 bits */
            out->kind = BJ_INT;
            out->sint = (int64_t)(width < 8 ? bits | ~(uint64_t)0 << 8 * width : bits);
        }
    }
    return 1 + width;
}

static size_t small(const unsigned char *data, size_t size, struct bj_token *out)
{
    unsigned char head = data[0];
    if (head < 0x80) {
        out->kind = BJ_UINT;
        out->uint = head;
        return 1;
    }
    if (head >= 0xe0) {
        out->kind = BJ_INT;
        out->sint = (int64_t)head - 256;
        return 1;
    }
    if ((head & 0xe0) == 0xa0) {
        out->kind = BJ_STR;
        return span(data, size, 1, head & 0x1f, out);
    }
    if ((head & 0xf0) == 0x90) {
        out->kind = BJ_ARRAY;
        out->length = head & 0x0f;
        return 1;
    }
    return 0;
}

size_t bj_token(const unsigned char *data, size_t size, struct bj_token *out)
{
    enum { FIRST = 0xc0, LAST = 0xdd };
    /* the bytes of length or number behind the head; 0xc1, and what is left out, is nothing of ours */
    static const unsigned char widths[LAST - FIRST + 1] = {
        [0xc4 - FIRST] = 1, [0xc5 - FIRST] = 2, [0xc6 - FIRST] = 4, [0xc7 - FIRST] = 1,
        [0xc8 - FIRST] = 2, [0xc9 - FIRST] = 4, [0xca - FIRST] = 4, [0xcb - FIRST] = 8,
        [0xcc - FIRST] = 1, [0xcd - FIRST] = 2, [0xce - FIRST] = 4, [0xcf - FIRST] = 8,
        [0xd0 - FIRST] = 1, [0xd1 - FIRST] = 2, [0xd2 - FIRST] = 4, [0xd3 - FIRST] = 8,
        [0xd9 - FIRST] = 1, [0xda - FIRST] = 2, [0xdb - FIRST] = 4, [0xdc - FIRST] = 2,
        [0xdd - FIRST] = 4};
    if (size == 0)
        return 0;
    unsigned char head = data[0];
    memset(out, 0, sizeof *out);
    if (head < FIRST || head > LAST)
        return small(data, size, out);
    if (head == 0xc0)
        return 1; /* BJ_NIL */
    if (head == 0xc2 || head == 0xc3) {
        out->kind = BJ_BOOL;
        out->uint = head == 0xc3;
        return 1;
    }
    int fixed = head >= 0xd4 && head <= 0xd8;
    size_t width = widths[head - FIRST];
    if ((width == 0 && !fixed) || width > size - 1)
        return 0;
    if (head >= 0xca && head <= 0xd3)
        return number(data, width, out);
    uint64_t length = fixed ? (uint64_t)1 << (head - 0xd4) : big_endian(data + 1, width);
    if (head >= 0xdc) {
        out->kind = BJ_ARRAY;
        out->length = (size_t)length;
        return 1 + width;
    }
    if (fixed || (head >= 0xc7 && head <= 0xc9)) {
        out->kind = BJ_EXT;
        if (size < 2 + width)
            return 0;
        out->code = data[1 + width] < 0x80 ? data[1 + width] : data[1 + width] - 256;
        return span(data, size, 2 + width, length, out);
    }
    out->kind = head >= 0xd9 ? BJ_STR : BJ_BIN;
    return span(data, size, 1 + width, length, out);
}
