#include "names.h"

#include <stdatomic.h>
#include <string.h>

#include "bytecode.h"
#include "encode.h"
#include "often.h"
#include "settings.h"

enum { SLOTS = 2048, ENTRIES = 512, PROBES = 16 };

static struct bj_name entries[ENTRIES];
static atomic_uint taken;
static _Atomic(struct bj_name *) slots[SLOTS];

static int starts(const char *name, const char *with) { return strncmp(name, with, strlen(with)) == 0; }

/* Events beyond files that a policy may have to decide. */
static int must_check(const char *name)
{
    static const char *const begin[] = {"socket.", "subprocess.", "ctypes.", "os.exec", "os.spawn",
                                        "os.fork", "os.posix_spawn"};
    static const char *const whole[] = {"sys.addaudithook", "os.system", "pty.spawn",
                                        "belljar.denied", "_posixsubprocess.fork_exec"};
    for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
        if (starts(name, begin[i]))
            return 1;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strcmp(name, whole[i]) == 0)
            return 1;
    return 0;
}

static int starts_program(const char *name)
{
    return strcmp(name, "subprocess.Popen") == 0 || strcmp(name, "os.exec") == 0 ||
           strcmp(name, "os.posix_spawn") == 0 || strcmp(name, "os.system") == 0 ||
           strcmp(name, "_posixsubprocess.fork_exec") == 0;
}

static void learn(struct bj_name *found, const char *name)
{
    enum { BYTE_CODE = 32, MODULE_AND_FILE = 2, NAME_ONLY = 1, EVERY = BJ_MAX_ITEMS };
    found->file = bj_file_event(name);
    found->first = BJ_MAX_TEXT;
    found->told = EVERY;
    found->action = (uint8_t)bj_settings_choose(name);
    found->flags = must_check(name) ? BJ_NAME_URGENT : 0;
    found->flags |= starts_program(name) ? BJ_NAME_STARTS : 0;
    found->often = (uint8_t)bj_often(name);
    found->makes = (uint8_t)bj_makes(name);
    if (strcmp(name, "import") == 0) { /* not sys.path and the finders, again and again */
        found->told = MODULE_AND_FILE;
    } else if (strcmp(name, "os.putenv") == 0) { /* environments are named, never told */
        found->told = NAME_ONLY;
    } else if (strcmp(name, "marshal.loads") == 0 || strcmp(name, "code.__new__") == 0) {
        found->first = BYTE_CODE;
    } else if (strcmp(name, "compile") == 0) {
        found->flags |= BJ_NAME_SOURCE;
    } else if (strcmp(name, "os.system") == 0) {
        found->flags |= BJ_NAME_RESTORE;
    } else if (strcmp(name, "socket.connect") == 0 || strcmp(name, "socket.bind") == 0 ||
               starts(name, "socket.send")) {
        found->flags |= BJ_NAME_ADDRESS;
    }
}

static uint64_t hash_of(const char *name, size_t len)
{
    uint64_t hash = len * 0x9E3779B97F4A7C15u, part;
    for (; len > 8; name += 8, len -= 8) {
        memcpy(&part, name, 8);
        hash = (hash ^ part) * 0xD6E8FEB86659FD93u;
        hash ^= hash >> 32;
    }
    part = 0;
    memcpy(&part, name, len);
    hash = (hash ^ part) * 0xD6E8FEB86659FD93u;
    return hash ^ hash >> 32;
}

static struct bj_name *fresh(const char *name, size_t len, uint64_t hash)
{
    if (atomic_load_explicit(&taken, memory_order_relaxed) >= ENTRIES)
        return NULL;
    unsigned at = atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    if (at >= ENTRIES)
        return NULL;
    struct bj_name *found = &entries[at];
    learn(found, name);
    memcpy(found->name, name, len + 1);
    found->length = (uint8_t)len;
    found->hash = hash;
    return found;
}

const struct bj_name *bj_know(const char *name, struct bj_name *spare)
{
    size_t len = strlen(name);
    uint64_t hash = len < BJ_MEMO_NAME ? hash_of(name, len) : 0;
    struct bj_name *ours = NULL;
    for (unsigned i = 0; i < PROBES && len < BJ_MEMO_NAME; i++) {
        _Atomic(struct bj_name *) *slot = &slots[(hash + i) % SLOTS];
        struct bj_name *there = atomic_load_explicit(slot, memory_order_acquire);
        if (there == NULL) {
            if (ours == NULL)
                ours = fresh(name, len, hash);
            if (ours == NULL)
                break;
            if (atomic_compare_exchange_strong(slot, &there, ours))
                return ours;
        }
        if (there->hash == hash && there->length == len && memcmp(there->name, name, len) == 0)
            return there;
    }
    memset(spare, 0, sizeof *spare);
    learn(spare, name);
    return spare;
}

enum bj_action bj_select(const char *name)
{
    struct bj_name spare;
    return (enum bj_action)bj_know(name, &spare)->action;
}
