/* The recorder: what its parts share. See docs/protocol.md for the frames. */
#ifndef BELLJAR_RECORDER_H
#define BELLJAR_RECORDER_H
#include <stddef.h>
#include <stdint.h>

enum { BJ_MAGIC = 0x4A42, BJ_VERSION = 1, BJ_HEADER = 32, BJ_FRAME = 4096 };
enum { BJ_HELLO = 1, BJ_EVENT = 2, BJ_BYE = 3 };
enum { BJ_CHECK = 1, BJ_REFUSED = 2, BJ_TRUNCATED = 4, BJ_FORKED = 8 };

struct bj_header { /* little-endian on the wire */
    uint16_t magic, length;
    uint8_t kind, flags;
    uint16_t version;
    uint32_t pid, thread;
    uint64_t seq, time;
};
_Static_assert(sizeof(struct bj_header) == BJ_HEADER, "the header has no padding");
#endif
