/* Landlock: every right of the kernel's ABI is handled, so what no rule names is refused.
 * ABI levels: Documentation/userspace-api/landlock.rst. 1 files, 2 REFER, 3 TRUNCATE,
 * 4 TCP, 5 IOCTL_DEV, 6 scopes, 7 audit flags, 8 all threads at once, 9 RESOLVE_UNIX. Constants are spelled out because the headers
 * of the build machine may be older than the kernel that runs this. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __NR_landlock_create_ruleset
#define __NR_landlock_create_ruleset 444
#define __NR_landlock_add_rule 445
#define __NR_landlock_restrict_self 446
#endif

enum {
    L_EXECUTE = 1 << 0, L_WRITE_FILE = 1 << 1, L_READ_FILE = 1 << 2, L_READ_DIR = 1 << 3,
    L_REMOVE_DIR = 1 << 4, L_REMOVE_FILE = 1 << 5, L_MAKE_CHAR = 1 << 6, L_MAKE_DIR = 1 << 7,
    L_MAKE_REG = 1 << 8, L_MAKE_SOCK = 1 << 9, L_MAKE_FIFO = 1 << 10, L_MAKE_BLOCK = 1 << 11,
    L_MAKE_SYM = 1 << 12, L_REFER = 1 << 13, L_TRUNCATE = 1 << 14, L_IOCTL_DEV = 1 << 15,
    L_RESOLVE_UNIX = 1 << 16,
};

/* What a rule on something that is not a directory may name (else the kernel says EINVAL). */
#define FILE_RIGHTS (L_EXECUTE | L_WRITE_FILE | L_READ_FILE | L_TRUNCATE | L_IOCTL_DEV)

struct ruleset_attr { uint64_t fs, net, scoped; };
struct port_attr { uint64_t rights, port; };
struct path_attr { uint64_t rights; int32_t fd; } __attribute__((packed));

uint64_t landlock_handled(int abi)
{
    uint64_t all = (1 << 13) - 1;
    if (abi >= 2) all |= L_REFER;
    if (abi >= 3) all |= L_TRUNCATE;
    if (abi >= 5) all |= L_IOCTL_DEV;
    if (abi >= 9) all |= L_RESOLVE_UNIX; /* no rule names it: sockets of others, by path */
    return all;
}

int landlock_abi_version(void)
{
    long abi = syscall(__NR_landlock_create_ruleset, NULL, 0, 1);
    return abi < 0 ? 0 : (int)abi;
}

uint64_t landlock_rights(const char *letters, bool *ok)
{
    uint64_t rights = 0;
    for (; *letters; letters++)
        switch (*letters) {
        case 'r': rights |= L_READ_FILE; break;
        case 'l': rights |= L_READ_DIR; break;
        case 'x': rights |= L_EXECUTE; break;
        case 'w': /* create, change, rename and delete; nothing special can be planted */
            rights |= L_WRITE_FILE | L_TRUNCATE | L_MAKE_REG | L_MAKE_DIR | L_MAKE_SYM |
                      L_REMOVE_FILE | L_REMOVE_DIR | L_REFER;
            break;
        /* On a read-only mount nothing can be truncated; but the kernel also asks for this right
         * at every open, and walks up to the root when it is missing. */
        case 't': rights |= L_TRUNCATE; break;
        case 'i': rights |= L_IOCTL_DEV; break; /* of devices that a grant names */
        case 'p': rights |= L_MAKE_FIFO | L_MAKE_SOCK; break; /* only in private places */
        default: *ok = false;
        }
    return rights;
}

/* Nothing was applied yet: the descriptors go, in case that whoever called lives on. */
_Noreturn static void give_up(int error, const char *what, int ruleset, int path)
{
    if (path >= 0)
        close(path);
    close(ruleset);
    fail("landlock", error, what);
}

static void add_ports(int ruleset, const unsigned short *ports, size_t n, uint64_t right)
{
    for (size_t i = 0; i < n; i++) {
        struct port_attr rule = {right, ports[i]};
        if (syscall(__NR_landlock_add_rule, ruleset, 2, &rule, 0) < 0)
            give_up(errno, "port", ruleset, -1);
    }
}

int landlock_ruleset(const struct plan *plan)
{
    int abi = landlock_abi_version();
    if (abi < 1)
        fail("landlock", ENOSYS, "this kernel has no Landlock");
    struct ruleset_attr attr = {.fs = landlock_handled(abi)};
    size_t size = sizeof attr.fs;
    if (abi >= 4) {
        attr.net = 3; /* bind and connect of TCP, with no rule: none */
        size = 2 * sizeof attr.fs;
    }
    if (abi >= 6) {
        attr.scoped = 3; /* abstract Unix sockets, signals */
        size = sizeof attr;
    }
    if (abi < 4 && (plan->n_to_ports || plan->n_at_ports))
        fail("landlock", ENOSYS, "ports");
    int ruleset = (int)syscall(__NR_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        fail("landlock", errno, "ruleset");
    add_ports(ruleset, plan->at_ports, plan->n_at_ports, 1);
    add_ports(ruleset, plan->to_ports, plan->n_to_ports, 2);
    for (size_t i = 0; i < plan->n_rules; i++) {
        const char *path = plan->rules[i].path;
        int fd = open(path, O_PATH | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
            give_up(errno, path, ruleset, fd);
        struct path_attr rule = {plan->rules[i].rights & attr.fs, fd};
        if (!S_ISDIR(st.st_mode))
            rule.rights &= FILE_RIGHTS;
        if (rule.rights && syscall(__NR_landlock_add_rule, ruleset, 1, &rule, 0) < 0)
            give_up(errno, path, ruleset, fd);
        close(fd);
    }
    return ruleset;
}

void landlock_enforce(int ruleset, bool all_threads)
{
    enum { TSYNC = 1 << 3 };
    if (syscall(__NR_landlock_restrict_self, ruleset, all_threads ? TSYNC : 0) < 0)
        fail("landlock", errno, "restrict");
    close(ruleset);
}

void apply_landlock(const struct plan *plan) { landlock_enforce(landlock_ruleset(plan), false); }
