/* Which system calls the supervisor is told of. */
#define _GNU_SOURCE
#include "tracer.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define FOREIGN 0x40000000u /* x32 */
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define FOREIGN 0xffffffffu
#else
#error "the cross-check knows x86-64 and arm64"
#endif

static const struct tracer_call calls[] = {
#ifdef __NR_open
    {__NR_open, "open", "wf"}, {__NR_creat, "creat", "w"},
    {__NR_unlink, "unlink", "w"}, {__NR_rmdir, "rmdir", "w"}, {__NR_rename, "rename", "ww"},
#endif
    {__NR_openat, "openat", "dpf"}, {__NR_openat2, "openat2", "dpo"},
    {__NR_open_by_handle_at, "open_by_handle_at", "m-f"},
    {__NR_unlinkat, "unlinkat", "dpf"},
#ifdef __NR_renameat
    {__NR_renameat, "renameat", "dpdp"},
#endif
    {__NR_renameat2, "renameat2", "dpdpf"},
    {__NR_execve, "execve", "w"}, {__NR_execveat, "execveat", "dp--f"},
    {__NR_connect, "connect", "tsS"}, {__NR_bind, "bind", "tsS"},
    {__NR_sendto, "sendto", "t---sS"}, {__NR_sendmsg, "sendmsg", "-h"}, {__NR_sendmmsg, "sendmmsg", "-h"},
    {__NR_memfd_create, "memfd_create", "n"}, {__NR_ptrace, "ptrace", "f"},
    {__NR_mmap, "mmap", "-f--m"}, {__NR_mprotect, "mprotect", "-f"}, {__NR_pkey_mprotect, "pkey_mprotect", "-f"},
    {__NR_io_uring_setup, "io_uring_setup", "f"},
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static struct sock_filter code[8 * CALLS + 8];
static unsigned short length;

static void emit(uint16_t op, uint32_t k, uint8_t yes, uint8_t no)
{
    code[length++] = (struct sock_filter){op, yes, no, k};
}

static void load(size_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0); }
static void give(uint32_t what) { emit(BPF_RET | BPF_K, what, 0, 0); }

static void build(void)
{
    const uint32_t tell = SECCOMP_RET_USER_NOTIF;
    length = 0;
    load(offsetof(struct seccomp_data, arch));
    emit(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0);
    give(tell); /* a 32-bit call: counted, whatever it is */
    load(offsetof(struct seccomp_data, nr));
    emit(BPF_JMP | BPF_JGE | BPF_K, FOREIGN, 0, 1);
    give(tell);
    for (size_t i = 0; i < CALLS; i++) {
        int nr = calls[i].nr;
        uint8_t over = 1;
        if (nr == __NR_mmap || nr == __NR_mprotect || nr == __NR_pkey_mprotect)
            over = 4;
        else if (nr == __NR_sendto)
            over = 6;
        emit(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, over);
        if (over == 4) { /* only what becomes executable */
            load(offsetof(struct seccomp_data, args) + 2 * 8);
            emit(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0);
            give(SECCOMP_RET_ALLOW);
        } else if (over == 6) { /* only with an address */
            load(offsetof(struct seccomp_data, args) + 4 * 8);
            emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
            load(offsetof(struct seccomp_data, args) + 4 * 8 + 4);
            emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
            give(SECCOMP_RET_ALLOW);
        }
        give(tell);
    }
    give(SECCOMP_RET_ALLOW);
}

int tracer_listen(void)
{
    build();
    struct sock_fprog program = {length, code};
    unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    for (;;) {
        long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
        if (fd >= 0)
            return (int)fd;
        if (errno == EINVAL && flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
            flags = SECCOMP_FILTER_FLAG_NEW_LISTENER; /* Linux before 5.19 */
        else if (errno != EACCES || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
            return -1;
    }
}

const struct tracer_call *tracer_lookup(const struct seccomp_data *data)
{
    if (data->arch == NATIVE)
        for (size_t i = 0; i < CALLS; i++)
            if (calls[i].nr == data->nr)
                return &calls[i];
    return NULL;
}

int tracer_is_native(const struct seccomp_data *data) { return data->arch == NATIVE; }
