/* The keeper's part of a guest that narrows itself: what it no longer keeps, it never has again. Any
 * process of the guest may say so, and whoever lies has less. Branches trust each other less than
 * that: where there may be some, nobody is believed. */
#include "network.h"

#include <errno.h>
#include <string.h>

#include "narrow.h"

_Static_assert(KEEPS_ADDRESSES * 8 >= MAX_ADDRESSES && KEEPS_LOCALS * 8 >= MAX_LOCALS && KEEPS_BINDS * 8 >= MAX_BINDS &&
                   KEEPS_PLACES * 8 >= MAX_LOCAL_BINDS && KEEPS_APPENDS * 8 >= MAX_APPENDS,
               "a bit for each");
_Static_assert(sizeof(struct keeps) <= sizeof(struct sockaddr_storage), "it comes as an address");

static bool kept(const unsigned char *bits, size_t i) { return bits[i / 8] >> i % 8 & 1; }

bool is_narrowing(const struct sockaddr_storage *to, size_t size)
{
    const struct keeps *k = (const void *)to;
    return to->ss_family == AF_UNSPEC && size == sizeof *k && !memcmp(k->mark, BELLJAR_KEEPS, sizeof k->mark);
}

int narrow_network(struct plan *plan, const struct sockaddr_storage *to)
{
    const struct keeps *k = (const void *)to;
    if (plan->allow_branch)
        return EPERM;
    for (size_t i = 0; i < plan->n_addresses; i++)
        if (!kept(k->addresses, i))
            plan->addresses[i].protocol = -1; /* which no socket has */
    for (size_t i = 0; i < plan->n_binds; i++)
        if (!kept(k->binds, i))
            plan->binds[i].protocol = -1;
    for (size_t i = 0; i < plan->n_locals; i++)
        if (!kept(k->locals, i))
            plan->locals[i].name = ""; /* no socket's name either */
    for (size_t i = 0; i < plan->n_local_binds; i++)
        if (!kept(k->places, i))
            plan->local_binds[i].name = "";
    for (size_t i = 0; i < plan->n_appends; i++)
        if (!kept(k->appends, i))
            plan->appends[i].guest = "-"; /* no path begins so; what was opened goes on (relays.c) */
    return 0;
}
