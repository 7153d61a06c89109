/* The recorder: the frame's header, and what the parts of the recorder share. The frames are
 * described in docs/protocol.md. */
#ifndef BELLJAR_RECORDER_H
#define BELLJAR_RECORDER_H
#include <stddef.h>
#include <stdint.h>

enum { BJ_MAGIC = 0x4A42, BJ_VERSION = 2, BJ_OLDEST = 1, BJ_HEADER = 32, BJ_FRAME = 4096 };
enum { BJ_HELLO = 1, BJ_EVENT = 2, BJ_BYE = 3, BJ_LOSS = 4, BJ_SYSCALL = 5 };
enum { BJ_CHECK = 1, BJ_REFUSED = 2, BJ_TRUNCATED = 4, BJ_FORKED = 8, BJ_WAITS = 16,
       BJ_SILENCED = 32 };
/* Not on the wire. LAST: no thread of this process sends anything after it. BULK: may pend. */
enum { BJ_LAST = 0x100, BJ_BULK = 0x200 };

struct bj_header { /* little-endian on the wire */
    uint16_t magic, length;
    uint8_t kind, flags;
    uint16_t version;
    uint32_t pid, thread;
    uint64_t seq, time;
};
_Static_assert(sizeof(struct bj_header) == BJ_HEADER, "the header has no padding");

/* channel.c: the way out. Whole frames in each write(2), in the order of their numbers. */
int bj_channel_open(const char *path, int strict); /* -1: nobody listens */
int bj_channel_is_open(void);
int bj_channel_is_ours(void); /* no vfork child, no raw clone */
/* A vfork child may send, too: it has its parent's memory, so it counts on for the parent. Not from
 * within the channel itself. */
int bj_channel_can_send(void);
void bj_channel_flush(void); /* before a fork: what pends comes before the child's hello */
void bj_channel_after_fork(void);
uint64_t bj_channel_drops(void);
/* `frame` has BJ_HEADER bytes of room before `body` bytes. The number that it got; 0 for an event
 * that was lost, which the overflow setting allows. */
uint64_t bj_channel_send(unsigned char *frame, size_t body, int kind, int flags);
/* Sends the event (CHECK and WAITS are set here) and waits for the answer to it. The slot in its body
 * is that of `bj_answers_slot`. */
enum { BJ_LATE = 0, BJ_ALLOW = 1, BJ_DENY = 2, BJ_KILL = 3 }; /* LATE: nobody answered in time */
int bj_channel_ask(unsigned char *frame, size_t body, int flags);
int bj_channel_is_heard(void); /* does anyone read it? */
int bj_channel_fd(void);
void bj_channel_use(int fd, int page); /* what pends goes out first; there is no way back to the path */
int bj_channel_move(void); /* someone wants our descriptor's number; 0: none is free */

/* page.c: where bulk events pend. All but open and forget under the channel's lock. */
enum { BJ_PAGE = 8192 };
uint64_t bj_page_who(void); /* this process: pid, and its PID namespace's inode above it */
void bj_page_open(const char *path);                       /* without it, nothing pends */
void bj_page_use(int fd);                                  /* this one instead; -1: none */
unsigned char *bj_page_room(size_t size);                  /* behind what pends; NULL: no room */
void bj_page_keep(size_t size);                            /* what was put there pends now */
size_t bj_page_pending(const unsigned char **data);
void bj_page_emptied(void);                                /* what pended was written */
void bj_page_leave(void);                                  /* for the next incarnation */
void bj_page_forget(void);                                 /* in a child: it is the parent's */

/* answers.c: where the collector's answers arrive. */
int bj_answers_open(const char *path); /* -1: no usable file; every ask is LATE then */
void bj_answers_use(int fd);           /* these instead; -1: none */
int bj_answers_slot(void);             /* this process's, claimed if it has none; -1: none */
void bj_answers_leave(void);           /* before the end, and before an exec */
void bj_answers_forget(void);          /* in a child: the slot is the parent's */

/* recorder.c */
int bj_hook_add(void);             /* once for the process; -1: another hook refused it */
int bj_hook_is_there(void);
void bj_hook_gone(void);           /* the interpreter ended and cleared its hooks */
int bj_begin(const char *channel); /* -1: nothing is recorded; NULL: nowhere to write */
void bj_send_bye(int flags);
int bj_has_greeted(void); /* nothing comes before the hello */
void bj_forked(void); /* this process is a new one, a copy */
_Noreturn void bj_refuse(const char *why); /* one line, exit status 125 */

/* exec_env.c: keeps the recorder in the environment of what this process executes. */
void bj_exec_env_init(char **envp);
void bj_exec_env_told(void); /* what a sandbox says of it comes before what the environment says */
void bj_exec_env_restore(void); /* puts it back into `environ` */
const char *bj_exec_env_file(size_t i); /* what recording a program needs; NULL: no more */
#endif
