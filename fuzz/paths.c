/* Fuzzes the window's path arithmetic: any bytes give an absolute path without `.`, `..` and
 * doubled slashes, that stays as it is when normalised again. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../src/belljar/_native/paths.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size + 1), *out = malloc(BJ_PATH), *again = malloc(BJ_PATH);
    size_t len = 0, second = 0;
    if (exact == NULL || out == NULL || again == NULL)
        abort();
    memcpy(exact, data, size);
    exact = realloc(exact, size > 0 ? size : 1);
    if (exact == NULL)
        abort();
    if (bj_normalise(out, &len, exact, size) == 0) {
        if (out[0] != '/' || strlen(out) != len || strstr(out, "//") != NULL ||
            strstr(out, "/./") != NULL || strstr(out, "/../") != NULL)
            abort();
        if (bj_normalise(again, &second, out, len) != 0 || second != len || strcmp(out, again) != 0)
            abort();
    }
    free(exact);
    free(out);
    free(again);
    return 0;
}

#ifndef BELLJAR_LIBFUZZER
static uint64_t state = 0x9E3779B97F4A7C15u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

int main(int argc, char **argv)
{
    static const char letters[] = "////....ab\0c";
    static uint8_t data[5000];
    long rounds = argc > 1 ? atol(argv[1]) : 200000;
    for (long round = 0; round < rounds; round++) {
        size_t size = next_random() % (round % 100 == 1 ? sizeof data : 24);
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)letters[next_random() % (round % 2 ? 10 : sizeof letters - 1)];
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("paths: %ld rounds, nothing found\n", rounds);
    return 0;
}
#endif
