/* The keeper's side of the guest's network calls: one file for each kind of call. */
#ifndef BELLJAR_NETWORK_H
#define BELLJAR_NETWORK_H

#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "keeper.h"

/* A system call of the guest's that waits for an answer. */
struct call { int listener; const struct seccomp_notif *ask; };

/* A socket of the guest's. `fd` is a copy of it, or -1 where taking one is forbidden (containers
 * refuse pidfd_getfd); the rest is known all the same. */
struct theirs { int fd, domain, type, protocol; bool patient; uint64_t inode; };

enum { LATER = -1, DONE = -2, CONTINUE = -3 }; /* instead of an error: the answer comes later, or was given; the kernel decides */

/* guest.c */
bool read_guest(pid_t thread, uint64_t at, void *to, size_t size);
bool still_asks(const struct call *c);
int read_address(const struct call *c, struct sockaddr_storage *to, size_t *size);
bool has_socket(pid_t thread, uint64_t inode);
bool write_guest(pid_t thread, uint64_t at, const void *from, size_t size);
bool own_datagrams(const struct plan *plan, const struct theirs *s);
bool borrow(pid_t thread, int guest_fd, struct theirs *out);
int option(int fd, int level, int name);

/* connect.c */
bool in_grants(const struct address *list, size_t n, int protocol, const struct sockaddr_storage *to);
int connect_call(const struct plan *plan, const struct call *c);

/* datagrams.c */
enum { TAG_SERVED = 1024, TAG_PEERS = 2048 }; /* of what belongs to serve.c */
bool watch_datagrams(int fd, uint32_t tag);

/* serve.c: UDP servers */
int serve(const struct theirs *s, const struct sockaddr_storage *to, socklen_t size);
void pass_served(const struct plan *plan, uint32_t tag);

/* local.c */
int bind_local(struct plan *plan, const struct call *c, const struct theirs *s,
               const struct sockaddr_storage *to, size_t size);
int connect_local(const struct plan *plan, const struct call *c, const struct theirs *s,
                  const struct sockaddr_storage *to, size_t size);

/* narrow_net.c: a guest that gives up some of what the keeper does for it, told by an address of no family */
bool is_narrowing(const struct sockaddr_storage *to, size_t size);
int narrow_network(struct plan *plan, const struct sockaddr_storage *to);

/* listen.c: bind(2), listen(2), accept(2) */
struct acceptance { int listener_fd; pid_t thread; uint64_t address, size; int flags; };
int bind_call(struct plan *plan, const struct call *c);
void release_closed(pid_t thread);
int give_bound(const struct call *c, const struct theirs *s, int fd);
bool welcome(const struct plan *plan, int fd, const struct sockaddr_storage *peer);
int listen_call(const struct plan *plan, const struct call *c);
int accept_call(const struct plan *plan, const struct call *c);
int accept_one(const struct plan *plan, int listener, uint64_t id, const struct acceptance *a);

/* count.c: connections that the guest has, made and accepted */
bool room_for_one(const struct plan *plan);
void count_one(int fd);

/* appends.c, relays.c: open(2) */
int open_call(const struct plan *plan, const struct call *c);
int relay_to(const struct call *c, int file, int flags);
bool relays_full(void);
bool may_create(void);
void count_created(void);

/* network.c */
unsigned pending_connections(void);
int answer_when_accepted(const struct call *c, const struct acceptance *a);
int inject(const struct call *c, int fd, int guest_fd);
int answer_when_connected(const struct call *c, int fd, int guest_fd);

#endif
