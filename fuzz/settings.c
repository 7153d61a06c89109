/* Fuzzes what reads the recorder's settings: any bytes are refused wholly, or leave settings within
 * their bounds and patterns that can be asked for any name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/belljar/_native/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bj_settings before = {.overflow = BJ_BLOCK, .deadline_ms = 5000};
    char *text = malloc(size + 1);
    if (text == NULL)
        abort();
    memcpy(text, data, size);
    bj_settings = before;
    int result = bj_settings_parse(text, size);
    if (result == 0) {
        if (bj_settings.overflow < BJ_BLOCK || bj_settings.overflow > BJ_EXIT ||
            bj_settings.deadline_ms < 1 || bj_settings.deadline_ms > BJ_MAX_DEADLINE ||
            bj_settings.stacks < 0 || bj_settings.stacks > BJ_MAX_STACKS ||
            bj_settings.locals >> 1 != 0 || bj_settings.resolve >> 1 != 0)
            abort();
        enum bj_action action = bj_settings_choose("socket.connect");
        if (action > BJ_MUST_ASK || bj_settings_choose("") > BJ_MUST_ASK)
            abort();
        bj_settings_clear(); /* before the text that they point into */
    } else if (memcmp(&before, &bj_settings, sizeof before) != 0) {
        abort();
    }
    free(text);
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

/* Mostly lines that could be right, with bytes changed. */
int main(int argc, char **argv)
{
    static const char *const parts[] = {"skip", "keep", "ask",  "overflow", "deadline", "stacks",
                                        "locals", "resolve", "\t", "\n", "\t", "\n", "block", "drop",
                                        "exit", "0", "1", "32", "86400000", "*", "socket.*", "a**b"};
    static uint8_t data[8192];
    long rounds = argc > 1 ? atol(argv[1]) : 200000, good = 0;
    for (long round = 0; round < rounds; round++) {
        size_t size = 0, pieces = next_random() % (round % 64 == 1 ? 600 : 16);
        for (size_t i = 0; i < pieces; i++) {
            const char *key = parts[next_random() % 8], *value = parts[12 + next_random() % 10];
            const char *any = parts[next_random() % (sizeof parts / sizeof *parts)];
            if (round % 2 == 0)
                size += (size_t)sprintf((char *)data + size, "%s\t%s\n", key, value);
            else
                size += (size_t)sprintf((char *)data + size, "%s", any);
        }
        if (size > 0 && round % 3 == 0)
            data[next_random() % size] = (uint8_t)next_random();
        LLVMFuzzerTestOneInput(data, size);
        good += size > 0;
    }
    printf("settings: %ld rounds, nothing found\n", rounds);
    return good > 0 || rounds == 0 ? 0 : 1;
}
#endif
