/* Granted names where the guest can have no hosts file of its own: the resolver's functions answer
 * them from the environment, `NAME=ADDRESS,ADDRESS;...` as the host pinned them, for Python and for
 * every program that is linked dynamically. A help, not a wall: what may be reached is the keeper's
 * to say. Everywhere else they are the C library's own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PUBLIC __attribute__((visibility("default")))

static char hosts[4096];

__attribute__((constructor)) static void take(void)
{
    const char *text = getenv("BELLJAR_HOSTS");
    if (text != NULL && strlen(text) < sizeof hosts)
        strcpy(hosts, text);
}

/* The addresses of a name, or NULL; they end where a `;` or the text does. */
static const char *addresses_of(const char *name)
{
    size_t length = name == NULL ? 0 : strlen(name);
    if (length > 1 && name[length - 1] == '.')
        length--;
    for (const char *at = hosts; length && *at;) {
        size_t row = strcspn(at, ";"), key = strcspn(at, "=");
        if (key == length && !strncasecmp(at, name, length))
            return at + key + 1;
        at += row + (at[row] == ';');
    }
    return NULL;
}

/* The next of them; false after the last. */
static int next(const char **at, char out[static INET6_ADDRSTRLEN])
{
    size_t length = strcspn(*at, ",;");
    if (length == 0 || length >= INET6_ADDRSTRLEN)
        return 0;
    memcpy(out, *at, length);
    out[length] = '\0';
    *at += length + ((*at)[length] == ',');
    return 1;
}

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

PUBLIC int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    static look_up *real;
    if (real == NULL)
        real = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");
    if (real == NULL)
        return EAI_SYSTEM;
    const char *at = hints != NULL && hints->ai_flags & AI_NUMERICHOST ? NULL : addresses_of(node);
    if (at == NULL)
        return real(node, service, hints, found);
    struct addrinfo want = {0}, *first = NULL, **end = &first;
    if (hints != NULL)
        want = (struct addrinfo){.ai_family = hints->ai_family, .ai_socktype = hints->ai_socktype,
                                 .ai_protocol = hints->ai_protocol,
                                 .ai_flags = hints->ai_flags & ~(AI_ADDRCONFIG | AI_CANONNAME | AI_V4MAPPED | AI_ALL)};
    want.ai_flags |= AI_NUMERICHOST;
    char text[INET6_ADDRSTRLEN];
    int error = EAI_NONAME;
    while (next(&at, text)) {
        int four = strchr(text, ':') == NULL;
        if (want.ai_family != AF_UNSPEC && want.ai_family != (four ? AF_INET : AF_INET6))
            continue;
        int failed = real(text, service, &want, end);
        if (failed != 0) {
            error = failed;
            continue;
        }
#ifndef __GLIBC__
        break; /* others free a list as a whole; glibc frees them one by one */
#endif
        while (*end != NULL)
            end = &(*end)->ai_next;
    }
    if (first == NULL)
        return error;
    if (hints != NULL && hints->ai_flags & AI_CANONNAME)
        first->ai_canonname = strdup(node);
    *found = first;
    return 0;
}

typedef int by_name(const char *, struct hostent *, char *, size_t, struct hostent **, int *);

PUBLIC int gethostbyname_r(const char *name, struct hostent *out, char *space, size_t size, struct hostent **found, int *why)
{
    enum { MOST = 16 };
    static by_name *real;
    if (real == NULL)
        real = (by_name *)dlsym(RTLD_NEXT, "gethostbyname_r");
    const char *at = addresses_of(name);
    if (real != NULL && at == NULL)
        return real(name, out, space, size, found, why);
    struct room { char *list[MOST + 1], *none[1]; struct in_addr four[MOST]; char name[]; } *room;
    size_t gap = (size_t)(-(uintptr_t)space % _Alignof(struct room)), length = strlen(name) + 1, n = 0;
    *found = NULL;
    *why = HOST_NOT_FOUND;
    if (real == NULL)
        return ENOSYS;
    if (size < gap + sizeof *room + length) {
        *why = NETDB_INTERNAL;
        return ERANGE;
    }
    room = (void *)(space + gap);
    char text[INET6_ADDRSTRLEN];
    while (n < MOST && next(&at, text))
        if (inet_pton(AF_INET, text, &room->four[n]) == 1) {
            room->list[n] = (char *)&room->four[n];
            n++;
        }
    if (n == 0)
        return 0;
    room->list[n] = room->none[0] = NULL;
    memcpy(room->name, name, length);
    *out = (struct hostent){.h_name = room->name, .h_aliases = room->none, .h_addrtype = AF_INET,
                            .h_length = sizeof(struct in_addr), .h_addr_list = room->list};
    *found = out;
    *why = NETDB_SUCCESS;
    return 0;
}
