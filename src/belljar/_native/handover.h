/* A channel of its own for one process of a sandbox that has branches: from the host, over a socket of the host's. */
#ifndef BELLJAR_HANDOVER_H
#define BELLJAR_HANDOVER_H

enum { BJ_HANDED = 3 };
struct bj_handed { int fds[BJ_HANDED]; }; /* channel, page, answers; -1: none */

int bj_handed_take(int socket, struct bj_handed *out); /* 0, or an error number */
void bj_handed_use(struct bj_handed *it);              /* this process speaks through it from here on */
void bj_handed_close(struct bj_handed *it);

#endif
