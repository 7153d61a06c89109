/* The plan: what the host decided, as NUL-terminated words behind a 32-bit length.
 * It comes from the host, not from the guest; it is checked all the same. */
#include "keeper.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct words { char *at, *end; };

static char *word(struct words *w)
{
    if (w->at >= w->end)
        fail("plan", EINVAL, "cut short");
    char *start = w->at;
    char *nul = memchr(start, 0, (size_t)(w->end - start));
    if (!nul)
        fail("plan", EINVAL, "no end of word");
    w->at = nul + 1;
    return start;
}

static uint64_t number(struct words *w)
{
    char *text = word(w), *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || end == text || *end)
        fail("plan", EINVAL, text);
    return n;
}

static void read_all(int fd, void *to, size_t size)
{
    for (char *p = to; size;) {
        ssize_t n = read(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(0); /* the host went away before it said what to do */
        p += n;
        size -= (size_t)n;
    }
}

static unsigned bind_flags(const char *letters)
{
    unsigned flags = 0;
    for (; *letters; letters++)
        switch (*letters) {
        case 'w': flags |= BIND_WRITE; break;
        case 'x': flags |= BIND_EXEC; break;
        case 'd': flags |= BIND_DEVICE; break;
        case 'i': flags |= BIND_IDMAP; break;
        case 'o': flags |= BIND_IDMAP | BIND_OPTIONAL_IDMAP; break;
        case '-': break;
        default: fail("plan", EINVAL, "bind flags");
        }
    return flags;
}

static struct view *new_view(struct plan *p, enum view_kind kind, const char *path)
{
    if (p->n_views == MAX_VIEWS)
        fail("plan", E2BIG, "too many mounts");
    if (path[0] != '/')
        fail("plan", EINVAL, path);
    struct view *v = &p->views[p->n_views++];
    *v = (struct view){.kind = kind, .path = path, .fd = -1};
    return v;
}

static void new_address(struct address *list, size_t *count, size_t most, struct words *w, int protocol)
{
    if (*count == most)
        fail("plan", E2BIG, "too many addresses");
    struct address *a = &list[(*count)++];
    a->protocol = protocol;
    a->family = (int)number(w);
    const char *hex = word(w);
    size_t digits = strlen(hex);
    if (digits != 8 && digits != 32)
        fail("plan", EINVAL, "address");
    for (size_t i = 0; i < digits / 2; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        a->ip[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    a->prefix = (unsigned)number(w);
    a->port = (unsigned)number(w);
    a->any_port = a->port == 65536;
    if (a->prefix > digits * 4 || a->port > 65536)
        fail("plan", EINVAL, "address");
}

static void new_port(unsigned short *list, size_t *count, uint64_t port)
{
    if (*count == MAX_PORTS || port > 65535)
        fail("plan", E2BIG, "ports");
    list[(*count)++] = (unsigned short)port;
}

static void push(char **list, size_t *count, char *text)
{
    if (*count >= MAX_STRINGS - 1)
        fail("plan", E2BIG, "too many arguments");
    list[(*count)++] = text;
    list[*count] = NULL;
}

static void directive(struct plan *p, const char *name, struct words *w)
{
    if (!strcmp(name, "tier")) {
        const char *tier = word(w);
        if (!strcmp(tier, "root"))
            p->tier = TIER_ROOT;
        else if (!strcmp(tier, "user"))
            p->tier = TIER_USER;
        else if (!strcmp(tier, "landlock"))
            p->tier = TIER_LANDLOCK;
        else
            fail("plan", EINVAL, tier);
        p->guest_uid = (uid_t)number(w);
    } else if (!strcmp(name, "template")) {
        const char *part = word(w);
        if (strcmp(part, "serve") && strcmp(part, "fork"))
            fail("plan", EINVAL, part);
        p->engine = part[0] == 's' ? ENGINE_TEMPLATE : ENGINE_FORKED;
    } else if (!strcmp(name, "dir")) {
        new_view(p, VIEW_DIR, word(w));
    } else if (!strcmp(name, "file")) {
        struct view *v = new_view(p, VIEW_FILE, word(w));
        v->text = word(w);
    } else if (!strcmp(name, "link")) {
        struct view *v = new_view(p, VIEW_LINK, word(w));
        v->text = word(w);
    } else if (!strcmp(name, "tmpfs")) {
        struct view *v = new_view(p, VIEW_TMPFS, word(w));
        v->text = word(w);
    } else if (!strcmp(name, "overlay")) {
        struct view *v = new_view(p, VIEW_OVERLAY, word(w));
        v->text = word(w);
    } else if (!strcmp(name, "bind")) {
        char *source = word(w);
        struct view *v = new_view(p, VIEW_BIND, word(w));
        v->text = source;
        v->flags = bind_flags(word(w));
        v->dev = number(w);
        v->ino = number(w);
    } else if (!strcmp(name, "land")) {
        if (p->n_rules == MAX_RULES)
            fail("plan", E2BIG, "too many rules");
        struct rule *r = &p->rules[p->n_rules++];
        r->path = word(w);
        bool ok = true;
        r->rights = landlock_rights(word(w), &ok);
        if (!ok)
            fail("plan", EINVAL, r->path);
    } else if (!strcmp(name, "limit")) {
        if (p->n_limits == MAX_LIMITS)
            fail("plan", E2BIG, "too many limits");
        struct limit *l = &p->limits[p->n_limits++];
        const char *which = word(w);
        if (!limit_by_name(which, &l->resource))
            fail("plan", EINVAL, which);
        l->soft = number(w);
        l->hard = number(w);
    } else if (!strcmp(name, "connect")) {
        new_address(p->addresses, &p->n_addresses, MAX_ADDRESSES, w, IPPROTO_TCP);
    } else if (!strcmp(name, "datagram")) {
        new_address(p->addresses, &p->n_addresses, MAX_ADDRESSES, w, IPPROTO_UDP);
        p->n_datagrams++;
    } else if (!strcmp(name, "bind-to")) {
        new_address(p->binds, &p->n_binds, MAX_BINDS, w, IPPROTO_TCP);
    } else if (!strcmp(name, "serve")) {
        new_address(p->binds, &p->n_binds, MAX_BINDS, w, IPPROTO_UDP);
        p->n_serves++;
    } else if (!strcmp(name, "accept-from")) {
        new_address(p->peers, &p->n_peers, MAX_ADDRESSES, w, IPPROTO_TCP);
    } else if (!strcmp(name, "host-name")) {
        p->host_name = word(w);
    } else if (!strcmp(name, "connections")) {
        p->connections = (unsigned)number(w);
    } else if (!strcmp(name, "local")) {
        if (p->n_locals == MAX_LOCALS)
            fail("plan", E2BIG, "too many Unix sockets");
        struct local *l = &p->locals[p->n_locals++];
        l->name = word(w);
        l->path = word(w);
        l->dev = number(w);
        l->ino = number(w);
        l->fd = -1;
    } else if (!strcmp(name, "append")) {
        if (p->n_appends == MAX_APPENDS)
            fail("plan", E2BIG, "too many places to append to");
        struct append *a = &p->appends[p->n_appends++];
        a->guest = word(w);
        a->host = word(w);
        a->name = word(w);
        a->dev = number(w);
        a->ino = number(w);
        a->fd = -1;
    } else if (!strcmp(name, "kept") || !strcmp(name, "other")) {
        size_t *count = name[0] == 'k' ? &p->n_kept : &p->n_others;
        if (*count == MAX_PLACES)
            fail("plan", E2BIG, "too many places");
        (name[0] == 'k' ? p->kept : p->others)[(*count)++] = word(w);
    } else if (!strcmp(name, "disk")) {
        p->disk = number(w);
    } else if (!strcmp(name, "local-bind")) {
        if (p->n_local_binds == MAX_LOCAL_BINDS)
            fail("plan", E2BIG, "too many Unix sockets");
        struct local_bind *l = &p->local_binds[p->n_local_binds++];
        l->name = word(w);
        l->folder = word(w);
        l->file = word(w);
        l->dev = number(w);
        l->ino = number(w);
        l->fd = -1;
    } else if (!strcmp(name, "allow")) {
        const char *what = word(w);
        if (!strcmp(what, "fork"))
            p->allow_fork = true;
        else if (!strcmp(what, "branch"))
            p->allow_branch = true;
        else if (!strcmp(what, "exec"))
            p->allow_exec = true;
        else if (!strcmp(what, "ioctl"))
            p->allow_ioctl = true;
        else if (!strcmp(what, "metadata"))
            p->allow_metadata = true;
        else if (!strcmp(what, "metadata-by-path"))
            p->allow_metadata = p->lent = true;
        else if (!strcmp(what, "accept"))
            p->allow_accept = true;
        else if (!strcmp(what, "kill"))
            p->allow_kill = true;
        else
            fail("plan", EINVAL, what);
    } else if (!strcmp(name, "here")) {
        p->here = true;
        p->clock = -1;
    } else if (!strcmp(name, "to-port")) {
        new_port(p->to_ports, &p->n_to_ports, number(w));
    } else if (!strcmp(name, "at-port")) {
        new_port(p->at_ports, &p->n_at_ports, number(w));
    } else if (!strcmp(name, "cwd")) {
        p->cwd = word(w);
    } else if (!strcmp(name, "wall")) {
        p->wall_ms = number(w);
    } else if (!strcmp(name, "start")) {
        p->start = word(w);
    } else if (!strcmp(name, "program")) {
        p->program = word(w);
    } else if (!strcmp(name, "arg")) {
        push(p->argv, &p->argc, word(w));
    } else if (!strcmp(name, "env")) {
        push(p->envp, &p->envc, word(w));
    } else if (!strcmp(name, "probe")) {
        p->probe = true;
        p->canary = word(w);
        p->canary_port = (unsigned)number(w);
    } else {
        fail("plan", EINVAL, name);
    }
}

struct plan *plan_new(void)
{
    void *memory = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        fail("plan", errno, "memory");
    return memory;
}

void plan_words(struct plan *plan, char *text, size_t size)
{
    struct words w = {text, text + size};
    while (w.at < w.end) {
        const char *name = word(&w);
        directive(plan, name, &w);
    }
}

void plan_read(int fd, struct plan *plan)
{
    uint32_t size;
    read_all(fd, &size, sizeof size);
    if (size == 0 || size > sizeof plan->text - plan->used)
        fail("plan", E2BIG, "size");
    read_all(fd, plan->text + plan->used, size);
    plan_parse(plan, size);
}

void plan_parse(struct plan *plan, size_t size)
{
    char *text = plan->text + plan->used;
    plan->used += size;
    plan_words(plan, text, size);
}

void plan_check(const struct plan *plan)
{
    if (!plan->cwd || (!plan->program && !plan->probe))
        fail("plan", EINVAL, "no program");
    if (plan->engine != ENGINE_COLD && (plan->tier == TIER_LANDLOCK || (plan->probe && plan->engine == ENGINE_TEMPLATE)))
        fail("template", EINVAL, "needs namespaces");
}
