/* The filters with which a guest narrows itself (narrow.c). A filter can write into the kernel's log
 * for every system call, which the filter that stands cannot see in it: so it lets these through and
 * no others. It knows them by their place. They are written there before any code of the guest's
 * runs, and sealed: nothing that the process does changes them or puts others in their place
 * (mseal(2), Linux 6.10). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "pieces.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"

#if defined __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

static bool sealed;

static void no_call(struct filter *f, const int *calls, size_t n, int error)
{
    for (size_t i = 0; i < n; i++)
        on_call(f, calls[i], ERRNO((unsigned)error));
}
#define NONE_OF(error, ...) no_call(f, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int), error)

/* On top of the filter that stands: the stricter answer of the two counts (seccomp(2)). */
static void write_piece(struct filter *f, enum piece piece)
{
    f->n = 0;
    load(f, offsetof(struct seccomp_data, arch));
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    answer(f, SECCOMP_RET_KILL_PROCESS);
    load_nr(f);
    if (piece == PIECE_SOCKETS) {
        NONE_OF(EACCES, __NR_socket, __NR_bind, __NR_listen, __NR_accept, __NR_accept4);
        unsigned b = begin(f, __NR_connect);
        low(f, 0);
        allow_value(f, (uint32_t)-1); /* no socket: it may have the keeper forget more */
        answer(f, ERRNO(EACCES));
        done(f, b);
        b = begin(f, __NR_sendto);
        low(f, 4);
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        answer(f, ERRNO(EACCES));
        answer(f, SECCOMP_RET_ALLOW);
        done(f, b);
    }
    if (piece == PIECE_FORKS) {
        unsigned b = begin(f, __NR_clone);
        low(f, 0);
        emit(f, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
        answer(f, ERRNO(EPERM));
        answer(f, SECCOMP_RET_ALLOW);
        done(f, b);
#ifdef __NR_fork
        NONE_OF(EPERM, __NR_fork, __NR_vfork);
#endif
    }
    if (piece == PIECE_EXEC)
        NONE_OF(EACCES, __NR_execve, __NR_execveat);
    if (piece == PIECE_METADATA) { /* for which Landlock has no right */
        NONE_OF(EPERM, __NR_fchmod, __NR_fchmodat, 452 /* fchmodat2 */, __NR_fchown, __NR_fchownat, __NR_utimensat);
#ifdef __NR_chmod
        NONE_OF(EPERM, __NR_chmod, __NR_chown, __NR_lchown, __NR_utime, __NR_utimes, __NR_futimesat);
#endif
        if (landlock_abi_version() < 3)
            NONE_OF(EPERM, __NR_truncate);
    }
    if (piece == PIECE_WATCHING) {
        NONE_OF(EPERM, __NR_inotify_init1, __NR_inotify_add_watch, __NR_getxattr, __NR_lgetxattr, __NR_fgetxattr,
                __NR_listxattr, __NR_llistxattr, __NR_flistxattr, __NR_statfs);
#ifdef __NR_inotify_init
        NONE_OF(EPERM, __NR_inotify_init);
#endif
    }
    answer(f, SECCOMP_RET_ALLOW);
}

void pieces_begin(void)
{
    static struct filter f;
    if (sealed || syscall(PIECES_SEAL, 0, 0, 0) < 0)
        return;
    char *at = mmap((void *)PIECES_AT, PIECES_SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != (void *)PIECES_AT) {
        if (at != MAP_FAILED)
            munmap(at, PIECES_SIZE); /* before Linux 4.17 it lies elsewhere */
        return;
    }
    char *code = at + PIECES * PIECES_STEP;
    for (int i = 0; i < PIECES; i++) {
        write_piece(&f, (enum piece)i);
        size_t size = f.n * sizeof *f.code;
        if (code + size > at + PIECES_SIZE)
            fail("seccomp", E2BIG, "pieces");
        struct sock_fprog program = {.len = f.n, .filter = (void *)code};
        memcpy(code, f.code, size);
        memcpy(at + i * PIECES_STEP, &program, sizeof program);
        code += size;
    }
    sealed = mprotect(at, PIECES_SIZE, PROT_READ) == 0 && syscall(PIECES_SEAL, at, PIECES_SIZE, 0) == 0;
    if (!sealed)
        munmap(at, PIECES_SIZE);
}

bool pieces_put(int piece)
{
    static struct filter f; /* where the kernel seals nothing, any filter is let through */
    struct sock_fprog own = {.filter = f.code};
    if (!sealed) {
        write_piece(&f, (enum piece)piece);
        own.len = f.n;
    }
    const void *program = sealed ? (char *)PIECES_AT + piece * PIECES_STEP : (void *)&own;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program) == 0;
}
