/* Fuzzes the frame walker, the events' names and the losses' counts: over any bytes, in buffers of
 * exact size, so that one byte too far is found by the sanitizer. With libFuzzer, or as a plain program (fuzz/run.sh). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../src/belljar/_native/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Both take a body as it is, whole frame or not. */
static void body(const uint8_t *data, size_t size)
{
    unsigned char *exact = malloc(size == 0 ? 1 : size);
    if (exact == NULL)
        abort();
    memcpy(exact, data, size);
    const unsigned char *name = NULL;
    long length = bj_event_name(exact, size, &name);
    if (length > 255 || (length >= 0 && (name < exact + 2 || name + length > exact + size)))
        abort();
    volatile unsigned char last = 0;
    for (long i = 0; i < length; i++)
        last = name[i];
    (void)last;
    if (bj_loss_count(exact, size) > 0 && exact[0] != 0x91)
        abort();
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    body(data, size);
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
        body(data + at + BJ_HEADER, head.length - (size_t)BJ_HEADER);
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
            static const uint8_t begins[] = {0x91, 0x94, 0xA4, 0xBF, 0xCC, 0xCF, 0xD9, 0xDA};
            struct bj_header head = {.magic = BJ_MAGIC};
            head.version = (uint16_t)(BJ_OLDEST + next_random() % 2);
            head.kind = (uint8_t)(1 + next_random() % (head.version == 1 ? 3 : 5));
            head.length = (uint16_t)(BJ_HEADER + 1 + next_random() % (next_random() % 2 ? 8 : 600));
            memcpy(data + size, &head, sizeof head);
            for (size_t i = BJ_HEADER; i < head.length && i < BJ_HEADER + 12; i++)
                data[size + i] = next_random() % 2 ? begins[next_random() % 8]
                                                   : (uint8_t)next_random();
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
