/* Building a seccomp filter: small words for the two files that do. */
#ifndef BELLJAR_FILTER_H
#define BELLJAR_FILTER_H

#include "keeper.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_FILTER = 2000 };
struct filter { struct sock_filter code[MAX_FILTER]; unsigned short n; };

static inline void emit(struct filter *f, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    if (f->n == MAX_FILTER)
        fail("seccomp", E2BIG, "filter");
    f->code[f->n++] = (struct sock_filter){code, jt, jf, k};
}

static inline void load(struct filter *f, uint32_t offset) { emit(f, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }
static inline void answer(struct filter *f, uint32_t what) { emit(f, BPF_RET | BPF_K, what, 0, 0); }
static inline void load_nr(struct filter *f) { load(f, offsetof(struct seccomp_data, nr)); }
static inline void low(struct filter *f, int arg) { load(f, (uint32_t)offsetof(struct seccomp_data, args) + 8 * (uint32_t)arg); }
static inline void high(struct filter *f, int arg) { load(f, (uint32_t)offsetof(struct seccomp_data, args) + 8 * (uint32_t)arg + 4); }

#define ERRNO(e) (SECCOMP_RET_ERRNO | (e))

/* if (nr == call) return what; */
static inline void on_call(struct filter *f, int call, uint32_t what)
{
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1);
    answer(f, what);
}

/* if (nr == call) { <body up to done()> }: returns where to patch the jump over it */
static inline unsigned begin(struct filter *f, int call)
{
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 0);
    return f->n - 1u;
}

static inline void done(struct filter *f, unsigned start)
{
    unsigned over = f->n - start - 1;
    if (over > 255)
        fail("seccomp", E2BIG, "jump");
    f->code[start].jf = (uint8_t)over;
}

/* within begin/done: if (A & bits) return no */
static inline void refuse_bits(struct filter *f, uint32_t bits, uint32_t no)
{
    emit(f, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    answer(f, no);
}

static inline void allow_value(struct filter *f, uint32_t value)
{
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    answer(f, SECCOMP_RET_ALLOW);
}

/* seccomp_network.c: sockets, connections, what may be sent and set */
void send_calls(struct filter *f, const struct plan *plan);
void network_calls(struct filter *f, const struct plan *plan);

/* seccomp_further.c: what takes more away */
void further_calls(struct filter *f, const struct plan *plan);

#endif
