/* Fuzzes the reader of MessagePack tokens: over any bytes, in a buffer of exact size, so that one
 * byte too far is found by the sanitizer. With libFuzzer, or as a plain program (fuzz/run.sh). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../src/belljar/_native/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *exact = malloc(size == 0 ? 1 : size);
    if (exact == NULL)
        abort();
    memcpy(exact, data, size);
    for (size_t at = 0; at < size;) {
        struct bj_token token;
        size_t taken = bj_token(exact + at, size - at, &token);
        if (taken == 0)
            break;
        if (taken > size - at)
            abort();
        volatile unsigned char last = 0;
        if (token.kind == BJ_STR || token.kind == BJ_BIN || token.kind == BJ_EXT)
            for (size_t i = 0; i < token.length; i++)
                last = ((const unsigned char *)token.at)[i];
        else if (token.kind == BJ_INT && token.sint >= 0)
            abort();
        (void)last;
        at += taken;
    }
    free(exact);
    return 0;
}

#ifndef BELLJAR_LIBFUZZER
#include <stdio.h>

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
    uint64_t state = 0x2545F4914F6CDD1Du;
    unsigned char data[64];
    for (long round = 0; round < rounds; round++) {
        for (size_t i = 0; i < sizeof data; i++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            /* heads more often than chance has them, and short lengths behind them */
            data[i] = (unsigned char)(i % 3 == 0 ? 0xc0 + state % 32 : i % 3 == 1 ? state % 16 : state);
        }
        LLVMFuzzerTestOneInput(data, (size_t)(state % (sizeof data + 1)));
    }
    printf("tokens: %ld rounds, nothing found\n", rounds);
    return 0;
}
#endif
