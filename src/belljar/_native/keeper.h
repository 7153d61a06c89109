/* The keeper: one process per sandbox that holds the host's tree and builds the walls.
 *
 *   keeper (host side)  -> init (PID 1 of the sandbox, C only) -> guest (becomes Python)
 *
 * One mechanism per file; every function that can fail ends the sandbox through fail(), so
 * nothing here can be half applied. */
#ifndef BELLJAR_KEEPER_H
#define BELLJAR_KEEPER_H

#ifndef _GNU_SOURCE /* the extension is built without it on the command line */
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Descriptors the host hands over: 0-2 are the guest's own streams. */
enum { FD_CONTROL = 3, FD_REPORT = 4, FD_GO = 5, FD_FIRST_OTHER = 6 };
/* Only for a sandbox that a template forks: the socket to init, for which the host has asked, and the
 * users of the template's keeper. */
enum { FD_INIT = 6, FD_USERS = 7 };
/* In the guest, after exec: the boot parameters arrive here. */
enum { GUEST_FD_GO = 3 };
/* In a template: requests, and who maps the users of new sandboxes. */
enum { TEMPLATE_FD_REQUESTS = 3, TEMPLATE_FD_MAPPER = 4 };

enum tier { TIER_ROOT, TIER_USER, TIER_LANDLOCK };

/* A sandbox may be a template, or be forked from one (docs/template.md). */
enum engine { ENGINE_COLD, ENGINE_TEMPLATE, ENGINE_FORKED };

enum { BIND_WRITE = 1, BIND_EXEC = 2, BIND_DEVICE = 4, BIND_IDMAP = 8, BIND_OPTIONAL_IDMAP = 16 };

enum view_kind { VIEW_DIR, VIEW_FILE, VIEW_LINK, VIEW_TMPFS, VIEW_BIND, VIEW_OVERLAY };

struct view {
    enum view_kind kind;
    const char *path;    /* absolute, in the guest's view */
    const char *text;    /* bind: host path; file: content; link: target; tmpfs: options;
                          * overlay: where its layers are attached */
    unsigned flags;      /* BIND_* */
    uint64_t dev, ino;   /* what the host checked; 0 = not checked (runtime) */
    int fd;              /* the detached mount, in the keeper's table */
};

struct rule { const char *path; uint64_t rights; };
struct limit { int resource; uint64_t soft, hard; };
struct address { int protocol, family; unsigned char ip[16]; unsigned prefix, port; bool any_port; };

/* A granted Unix socket: what the guest calls it, and the very one, held open from the start. */
struct local { const char *name, *path; uint64_t dev, ino; int fd; };

/* A directory that may be added to, or one file of it (`name`, else empty); `guest` is what the guest calls it. */
struct append { const char *guest, *host, *name; uint64_t dev, ino; int fd; uid_t owner; gid_t group; };


/* A path where the guest may listen: its directory is held open; `made`: the socket's inode. */
struct local_bind { const char *name, *folder, *file; uint64_t dev, ino, made; int fd; };

enum { MAX_VIEWS = 1024, MAX_RULES = 1024, MAX_LIMITS = 16, MAX_ADDRESSES = 256, MAX_STRINGS = 2048, MAX_PENDING = 64, MAX_LOCALS = 32, MAX_BINDS = 64, MAX_PORTS = 64, MAX_APPENDS = 64, MAX_RELAYS = 64, MAX_PLACES = 1024, MAX_LOCAL_BINDS = 16 };

struct plan {
    enum tier tier;
    enum engine engine;
    uid_t guest_uid;               /* host's number for the guest's user (tier root) */
    bool probe, allow_branch, allow_fork, allow_exec, allow_metadata, allow_ioctl;
    bool lent;                     /* open files of the host's are, or may come to be, the guest's */
    /* A process that confines itself (confine_here.c): it may do so again, and nobody mediates. */
    bool here, allow_accept, allow_kill; /* kill: Landlock keeps signals within the domain */
    unsigned short to_ports[MAX_PORTS], at_ports[MAX_PORTS]; /* of TCP: to connect to, to listen at */
    size_t n_to_ports, n_at_ports;
    int clock;                     /* here: the timer that ends it, -1 where there is none */
    struct view views[MAX_VIEWS];
    size_t n_views;
    struct rule rules[MAX_RULES];
    size_t n_rules;
    struct limit limits[MAX_LIMITS];
    size_t n_limits;
    struct address addresses[MAX_ADDRESSES];
    size_t n_addresses, n_datagrams; /* all; those of them that are for UDP */
    struct address binds[MAX_BINDS], peers[MAX_ADDRESSES]; /* where to listen; from whom to accept */
    size_t n_binds, n_peers, n_serves; /* the last: those of the binds that are for UDP */
    unsigned connections; /* at a time, made and accepted */
    struct local locals[MAX_LOCALS];
    size_t n_locals;
    struct append appends[MAX_APPENDS];
    size_t n_appends;
    const char *kept[MAX_PLACES], *others[MAX_PLACES]; /* inside those: what nobody adds to; other grants */
    size_t n_kept, n_others;
    uint64_t disk; /* bytes that may be added */
    struct local_bind local_binds[MAX_LOCAL_BINDS];
    size_t n_local_binds;
    const char *cwd, *program, *host_name;
    uint64_t wall_ms;              /* the host's clock decides; this is for a host that is stuck */
    const char *start;             /* a second name of the program, gone once it runs; or NULL */
    const char *canary;            /* probe: a host directory with things to reach for */
    unsigned canary_port;
    pid_t outside;                 /* probe: a process of the host, the keeper itself */
    char *argv[MAX_STRINGS], *envp[MAX_STRINGS];
    size_t argc, envc;
    size_t used;                   /* of `text`, where all the words lie */
    char text[4 << 20];
};

/* plan.c: the plan comes in two parts, the tier first, so that namespaces rise while the rest is
 * still being made; it lies in memory that keeper and init share. */
struct plan *plan_new(void);
void plan_read(int fd, struct plan *plan);
void plan_words(struct plan *plan, char *text, size_t size); /* `text` stays, and is pointed into */
void plan_parse(struct plan *plan, size_t size); /* the next `size` bytes of its text */
void plan_check(const struct plan *plan);

/* keeper.c: say what failed, end. `step` is a word the host knows, `detail` a path or "". */
_Noreturn void fail(const char *step, int error, const char *detail);
void report(const char *line);
extern int sync_fd; /* -1 in the keeper; in init and guest the socket to it */

/* privileges.c */
void drop_privileges(void);

/* namespaces.c */
void enter_keeper_namespaces(const struct plan *plan);
int idmap_namespace(uid_t from_uid, gid_t from_gid, uid_t to);
enum { GUEST_ID = 1000 }; /* what the guest sees itself as, on every machine */
pid_t clone_init(const struct plan *plan, int *pidfd);
void write_map(pid_t pid, const char *file, unsigned inside, unsigned outside);
void enter_users(int fd); /* those of a template's keeper */
void map_init(const struct plan *plan, pid_t init);
void become_guest_user(const struct plan *plan);

/* mounts.c */
void open_trees(struct plan *plan);
void enter_new_root(const struct plan *plan);
void build_view(const struct plan *plan, const int *trees);

/* overlay.c */
void mount_overlay(const struct view *v);

/* trees.c: what keeper and init tell each other */
void say(const char *line); /* init, guest-to-be: to the keeper */
void send_descriptor(int to, const char *what, int fd);
void send_trees(int sync, const struct plan *plan);
void receive_trees(int sync, const struct plan *plan, int *trees);
void send_plan(int sync, const struct plan *plan);
void receive_plan(int sync, struct plan *plan);

/* init.c */
_Noreturn void init_main(struct plan *plan, int sync, int mapper);

/* guest_walls.c: what init and the guest-to-be do in both engines */
void die_with_parent(void);
void raise_view(const struct plan *plan, int sync);
void enter_session(void);
void confine(const struct plan *plan, const void *secret);
void tell_exit(int status, const struct rusage *used);
void tell_left(pid_t pid, int status, const struct rusage *used); /* another than the guest */

/* template.c: the keeper's part */
pid_t hear_template(const struct plan *plan, int ours, int *pidfd);
void become_mapper(pid_t init);
void map_asked(int fd);

/* landlock.c */
int landlock_abi_version(void);
int landlock_ruleset(const struct plan *plan);
void landlock_enforce(int ruleset, bool all_threads); /* closes it */
void apply_landlock(const struct plan *plan);
uint64_t landlock_handled(int abi); /* every right of files that it knows */
uint64_t landlock_rights(const char *letters, bool *ok);

/* seccomp_template.c */
void apply_template_filter(void);

/* seccomp.c: returns the listener when network calls are mediated, else -1 */
int apply_seccomp(const struct plan *plan, const void *secret);

/* limits.c */
bool limit_by_name(const char *name, int *resource);
void apply_limits(const struct plan *plan);

/* guest.c: may this keeper look at what it is asked about? */
bool can_mediate(pid_t init);
bool can_look(pid_t init);

/* network.c */
static inline bool listens(const struct plan *p) { return p->n_binds || p->n_local_binds; }
static inline bool connects(const struct plan *p) { return p->n_addresses || p->n_locals || listens(p); }
static inline bool mediates(const struct plan *p) { return connects(p) || p->n_appends; }
void open_locals(struct plan *plan);
void remove_local_binds(const struct plan *plan);
void mediate(struct plan *plan, int listener);
int pending_descriptors(struct pollfd *out, int room);
void finish_pending(const struct plan *plan, int listener);

/* appends.c, relays.c: files that are only added to */
void open_appends(struct plan *plan);
void limit_relays(const struct plan *plan);
int relay_descriptors(struct pollfd *out);
void pump_relays(void);
void finish_relays(void);

/* datagram_net.c: init's part; `give` hands a socket to the keeper */
void open_datagrams(const struct plan *plan, void (*give)(int fd));

/* datagrams.c: the keeper's part; serve.c: that of UDP servers, `init` has their network */
void hear_datagrams(int fd);
void serve_in(int init);
int datagram_descriptor(void);
void pass_datagrams(const struct plan *plan);

/* probe.c: tries what must not work; one `NAME errno` line each through `say` */
void run_probes(const struct plan *plan, bool confined, void (*tell)(const char *line));

#endif
