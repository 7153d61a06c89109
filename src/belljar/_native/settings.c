#define _GNU_SOURCE
#include "settings.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST = 1 << 18, PATTERNS = 4096 };

struct bj_settings bj_settings = {.overflow = BJ_BLOCK, .deadline_ms = 5000};

struct pattern {
    enum bj_action action;
    const char *text;
};

static struct pattern *patterns;
static size_t pattern_count;

int bj_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *again = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            again = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star;
            name = ++again;
        } else {
            return 0;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

enum bj_action bj_settings_choose(const char *name)
{
    for (size_t i = 0; i < pattern_count; i++)
        if (bj_matches(patterns[i].text, name))
            return patterns[i].action;
    return BJ_KEEP;
}

int bj_settings_names(const char *name)
{
    for (size_t i = 0; i < pattern_count; i++)
        if (bj_matches(patterns[i].text, name))
            return 1;
    return 0;
}

static int number(const char *text, long from, long to, long *out)
{
    long value = 0;
    if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > to)
            return -1;
        value = value * 10 + (*text - '0');
    }
    *out = value;
    return value >= from && value <= to ? 0 : -1;
}

static int add_pattern(struct pattern *found, size_t *count, enum bj_action action, const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > BJ_MAX_PATTERN || *count == PATTERNS)
        return -1;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return -1;
    found[(*count)++] = (struct pattern){action, text};
    return 0;
}

static int one(struct bj_settings *all, unsigned *seen, const char *key, const char *value)
{
    static const char *const keys[] = {"overflow", "deadline", "stacks", "locals", "resolve"};
    static const char *const modes[] = {"block", "drop", "exit"};
    static const long least[] = {0, 1, 0, 0, 0}, most[] = {0, BJ_MAX_DEADLINE, BJ_MAX_STACKS, 1, 1};
    long n = 0;
    unsigned which = 0;
    while (which < 5 && strcmp(key, keys[which]) != 0)
        which++;
    if (which == 5 || *seen & 1u << which)
        return -1;
    *seen |= 1u << which;
    if (which > 0 && number(value, least[which], most[which], &n) < 0)
        return -1;
    if (which == 0) {
        while (n < 3 && strcmp(value, modes[n]) != 0)
            n++;
        all->overflow = (int)n;
        return n < 3 ? 0 : -1;
    }
    if (which == 1)
        all->deadline_ms = n;
    else
        *(which == 2 ? &all->stacks : which == 3 ? &all->locals : &all->resolve) = (int)n;
    return 0;
}

int bj_settings_parse(char *text, size_t size)
{
    struct bj_settings all = bj_settings;
    unsigned seen = 0;
    size_t count = 0;
    if (memchr(text, 0, size) != NULL || (size > 0 && text[size - 1] != '\n'))
        return -2;
    text[size] = '\0';
    struct pattern *found = calloc(PATTERNS, sizeof *found);
    int failed = found == NULL;
    while (!failed && *text) {
        char *end = strchr(text, '\n'), *tab = memchr(text, '\t', (size_t)(end - text));
        if (tab == NULL) {
            failed = 1;
            break;
        }
        *end = *tab = '\0';
        if (strcmp(text, "keep") == 0)
            failed = add_pattern(found, &count, BJ_KEEP, tab + 1);
        else if (strcmp(text, "skip") == 0)
            failed = add_pattern(found, &count, BJ_SKIP, tab + 1);
        else if (strcmp(text, "ask") == 0)
            failed = add_pattern(found, &count, BJ_MUST_ASK, tab + 1), all.asks = 1;
        else
            failed = one(&all, &seen, text, tab + 1);
        text = end + 1;
    }
    if (failed) {
        free(found);
        return -2;
    }
    bj_settings = all;
    patterns = found;
    pattern_count = count;
    return 0;
}

void bj_settings_clear(void)
{
    free(patterns);
    patterns = NULL;
    pattern_count = 0;
}

int bj_settings_load(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), result = -1;
    char *text = NULL;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        result = st.st_size > LARGEST ? -2 : 0;
    if (result == 0)
        text = malloc((size_t)st.st_size + 1);
    if (result == 0 && (text == NULL || read(fd, text, (size_t)st.st_size) != st.st_size))
        result = -1;
    if (result == 0)
        result = bj_settings_parse(text, (size_t)st.st_size); /* the patterns point into it */
    if (result != 0)
        free(text);
    if (fd >= 0)
        close(fd);
    return result;
}
