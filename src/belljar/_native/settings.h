/* What the collector asks of the recorder: a small file, read once at start. */
#ifndef BELLJAR_SETTINGS_H
#define BELLJAR_SETTINGS_H
#include <stddef.h>
#include <stdint.h>

enum bj_overflow { BJ_BLOCK, BJ_DROP, BJ_EXIT };
enum bj_action { BJ_KEEP, BJ_SKIP, BJ_MUST_ASK };
enum { BJ_MAX_STACKS = 32, BJ_MAX_DEADLINE = 86400000, BJ_MAX_PATTERN = 128 };

struct bj_settings {
    int overflow; /* enum bj_overflow: what a full channel means */
    long deadline_ms;
    int stacks, locals, resolve;
    int asks; /* some pattern makes events wait */
};
extern struct bj_settings bj_settings;

/* -1: cannot be read; -2: is not what docs/protocol.md describes. Nothing is set then. */
int bj_settings_load(const char *path);
int bj_settings_parse(char *text, size_t size); /* keeps `text`, which has a byte more: 0 or -2 */
void bj_settings_clear(void);                   /* no patterns any more; for tests */

/* What to do with events of this name: the first pattern that matches decides. settings.c reads
 * the patterns, names.c remembers the answers. */
enum bj_action bj_settings_choose(const char *name);
enum bj_action bj_select(const char *name);
int bj_settings_names(const char *name); /* whether some pattern matches it */

/* `*` stands for any text, everything else for itself. */
int bj_matches(const char *pattern, const char *name);
#endif
