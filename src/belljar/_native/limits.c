/* Resource limits by name (setrlimit(2)). */
#include "keeper.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static const struct { const char *name; int resource; } NAMES[] = {
    {"as", RLIMIT_AS},         {"core", RLIMIT_CORE},     {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},     {"fsize", RLIMIT_FSIZE},   {"memlock", RLIMIT_MEMLOCK},
    {"msgqueue", RLIMIT_MSGQUEUE}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
    {"stack", RLIMIT_STACK},   {"sigpending", RLIMIT_SIGPENDING},
};

bool limit_by_name(const char *name, int *resource)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (!strcmp(NAMES[i].name, name)) {
            *resource = NAMES[i].resource;
            return true;
        }
    return false;
}

void apply_limits(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_limits; i++) {
        struct rlimit want = {plan->limits[i].soft, plan->limits[i].hard}, have;
        if (getrlimit((__rlimit_resource_t)plan->limits[i].resource, &have) < 0)
            fail("limits", errno, "");
        if (have.rlim_max != RLIM_INFINITY && want.rlim_max > have.rlim_max)
            want.rlim_max = have.rlim_max; /* what the host runs under is narrower already */
        if (want.rlim_cur > want.rlim_max)
            want.rlim_cur = want.rlim_max;
        if (setrlimit((__rlimit_resource_t)plan->limits[i].resource, &want) < 0)
            fail("limits", errno, "");
    }
}
