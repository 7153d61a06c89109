/* Fuzzes the frame walker: `bj_next_frame` over any bytes, in buffers of exact size, so that one
 * byte too far is found by the sanitizer. With libFuzzer, or as a plain program (fuzz/run.sh). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../src/belljar/_native/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size) {
        unsigned char *exact = malloc(size - at);
        if (exact == NULL)
            abort();
        memcpy(exact, data + at, size - at);
        struct bj_header head;
        const char *verdict = bj_next_frame(exact, size - at, &head);
        free(exact);
        if (verdict == BJ_PARTIAL && size - at >= BJ_FRAME)
            abort(); /* no frame is longer */
        if (verdict == BJ_WHOLE && (head.length <= BJ_HEADER || head.length > size - at))
            abort();
        if (verdict != BJ_WHOLE)
            break;
        at += head.length;
    }
    return 0;
}

#ifndef BELLJAR_LIBFUZZER
#include <stdio.h>

static uint64_t state = 0x9E3779B97F4A7C15u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Frames that are mostly right, then a few bytes changed, then cut anywhere. */
int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 200000;
    static uint8_t data[16384];
    for (long round = 0; round < rounds; round++) {
        size_t size = 0;
        for (int frames = (int)(next_random() % 5); frames >= 0; frames--) {
            struct bj_header head = {.magic = BJ_MAGIC, .version = BJ_VERSION};
            head.kind = (uint8_t)(1 + next_random() % 3);
            head.length = (uint16_t)(BJ_HEADER + 1 + next_random() % 600);
            memcpy(data + size, &head, sizeof head);
            size += head.length;
        }
        for (int changes = (int)(next_random() % 4); changes > 0; changes--)
            data[next_random() % size] = (uint8_t)next_random();
        LLVMFuzzerTestOneInput(data, next_random() % (size + 1));
    }
    printf("frames: %ld rounds, nothing found\n", rounds);
    return 0;
}
#endif
