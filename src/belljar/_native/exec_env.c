/* Keeps the recorder in whatever this process executes: a program that passes an environment of
 * its own (`env={}`) still gets LD_PRELOAD, ours first, and our BELLJAR_* variables.
 *
 * CPython's subprocess calls execve in a vfork child, so this allocates on the stack only. */
#define _GNU_SOURCE
#include "recorder.h"
#include "starts.h"
#include "window.h"

#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
enum { OURS = 7, MOST = 1 << 16 };

static const char *const names[OURS] = {"BELLJAR_CHANNEL=", "BELLJAR_PAGE=", "BELLJAR_WINDOW=",
                                        "BELLJAR_STRICT=", "BELLJAR_ANSWERS=", "BELLJAR_SETTINGS=",
                                        "BELLJAR_HOSTS="};
#define TOLD_FILE "/belljar/environ"
static char kept[OURS][4200]; /* `NAME=value`; empty: was not set */
static char library[4096];    /* where this shared object lies; empty: not active */

static int (*real_execve)(const char *, char *const[], char *const[]);
static int (*real_execvpe)(const char *, char *const[], char *const[]);
static int (*real_fexecve)(int, char *const[], char *const[]);
static int (*real_spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                         const posix_spawnattr_t *, char *const[], char *const[]);
static int (*real_spawnp)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                          const posix_spawnattr_t *, char *const[], char *const[]);

static void resolve(void)
{
    *(void **)&real_execve = dlsym(RTLD_NEXT, "execve");
    *(void **)&real_execvpe = dlsym(RTLD_NEXT, "execvpe");
    *(void **)&real_fexecve = dlsym(RTLD_NEXT, "fexecve");
    *(void **)&real_spawn = dlsym(RTLD_NEXT, "posix_spawn");
    *(void **)&real_spawnp = dlsym(RTLD_NEXT, "posix_spawnp");
}

__attribute__((constructor(101))) static void early(void) { resolve(); }

/* Where programs may be executed, a file of the sandbox says how to reach the host, whatever is in
 * the environment by now: lines `NAME=value`. The loader brings us along (ld.so.preload(8)). */
void bj_exec_env_told(void)
{
    static char text[OURS * 4200];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, TOLD_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (n <= 0)
        bj_refuse("how to record this program cannot be read");
    unsetenv("BELLJAR_TEMPLATE");
    for (char *line = text, *end; line < text + n && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        for (int i = 0; i < OURS; i++)
            if (strncmp(line, names[i], strlen(names[i])) == 0)
                putenv(line); /* stays in `text` */
    }
}

void bj_exec_env_init(char **envp)
{
    Dl_info info;
    for (char **e = envp; e != NULL && *e != NULL; e++)
        for (int i = 0; i < OURS; i++)
            if (strncmp(*e, names[i], strlen(names[i])) == 0 && strlen(*e) < sizeof kept[i])
                strcpy(kept[i], *e);
    if (dladdr(names, &info) && info.dli_fname && strlen(info.dli_fname) < sizeof library)
        strcpy(library, info.dli_fname);
}

/* The files without which a program that is started here would not be recorded, one by one, then
 * NULL; empty: there is none. */
const char *bj_exec_env_file(size_t i)
{
    enum { STRICT = 3, SETTINGS = 5, PRELOAD, TOLD };
    if (i > TOLD)
        return NULL;
    if (i >= PRELOAD)
        return i == PRELOAD ? "/etc/ld.so.preload" : TOLD_FILE;
    if (i == STRICT) /* is no file, and so gives its place to the library */
        return library;
    return kept[i][0] ? kept[i] + strlen(names[i]) : "";
}

/* The dynamic loader goes on without a library that it cannot open: what a guest starts then would
 * run unrecorded, so it is not started. Not in a process that confines itself, nor under `watch`:
 * there programs may see other files, and it is told that nothing was heard of them. */
static int can_be_recorded(void)
{
    if (!bj_window_is_open() || bj_window_is_own())
        return 1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, library, O_RDONLY | O_CLOEXEC); /* not told (opens.c) */
    if (fd < 0)
        return 0;
    syscall(SYS_close, fd);
    return 1;
}

/* Writes `LD_PRELOAD=` ours, then what the program had, without a second copy of ours. */
static void join_preload(char *out, const char *theirs)
{
    char *at = stpcpy(stpcpy(out, "LD_PRELOAD="), library);
    size_t own = strlen(library);
    while (*theirs) {
        size_t part = strcspn(theirs, ": ");
        if (part > 0 && !(part == own && memcmp(theirs, library, own) == 0)) {
            *at++ = ':';
            memcpy(at, theirs, part);
            at += part;
        }
        theirs += part + (theirs[part] != '\0');
    }
    *at = '\0';
}

static const char *preload_of(char *const envp[])
{
    for (size_t i = 0; envp != NULL && envp[i] != NULL; i++)
        if (strncmp(envp[i], "LD_PRELOAD=", 11) == 0)
            return envp[i] + 11;
    return "";
}

static size_t count(char *const envp[])
{
    size_t n = 0;
    while (envp != NULL && envp[n] != NULL)
        n++;
    return n;
}

static int is_ours(const char *entry)
{
    if (strncmp(entry, "LD_PRELOAD=", 11) == 0)
        return 1;
    for (int i = 0; i < OURS; i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return 1;
    return 0;
}

static void fill(char **out, char *const envp[], char *preload)
{
    join_preload(preload, preload_of(envp));
    *out++ = preload;
    for (int i = 0; i < OURS; i++)
        if (kept[i][0] != '\0')
            *out++ = kept[i];
    for (size_t i = 0; envp != NULL && envp[i] != NULL; i++)
        if (!is_ours(envp[i]))
            *out++ = envp[i];
    *out = NULL;
}

/* Declares `env`, the environment to use, on the stack of the function it stands in. */
#define WITH_ENV(envp, failure)                                                              \
    char *const *env = (envp);                                                               \
    if (library[0] != '\0') {                                                                \
        size_t n_ = count(envp);                                                             \
        if (n_ > MOST)                                                                       \
            return failure(E2BIG);                                                           \
        if (!can_be_recorded())                                                              \
            return failure(EACCES);                                                          \
        char **new_ = alloca((n_ + OURS + 2) * sizeof *new_);                                \
        fill(new_, (envp), alloca(sizeof library + strlen(preload_of(envp)) + 16));          \
        env = new_;                                                                          \
    }

static int failed(int error)
{
    errno = error;
    return -1;
}

static int given(int error) { return error; } /* as posix_spawn does */

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
    WITH_ENV(envp, failed)
    bj_starts(path, argv);
    bj_send_bye(0);
    return real_execve(path, argv, env);
}

EXPORT int execv(const char *path, char *const argv[]) { return execve(path, argv, environ); }

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
    WITH_ENV(envp, failed)
    bj_starts(file, argv);
    bj_send_bye(0);
    return real_execvpe(file, argv, env);
}

EXPORT int execvp(const char *file, char *const argv[]) { return execvpe(file, argv, environ); }

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
    char name[32];
    WITH_ENV(envp, failed)
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    bj_starts(name, argv);
    bj_send_bye(0);
    return real_fexecve(fd, argv, env);
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
    WITH_ENV(envp, given)
    bj_starts(path, argv);
    return real_spawn(pid, path, actions, attr, argv, env);
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
    WITH_ENV(envp, given)
    bj_starts(file, argv);
    return real_spawnp(pid, file, actions, attr, argv, env);
}

/* A process that leaves without its destructors still says goodbye. */
EXPORT _Noreturn void _exit(int status)
{
    bj_send_bye(BJ_LAST);
    for (;;)
        syscall(SYS_exit_group, status);
}

EXPORT _Noreturn void _Exit(int status) { _exit(status); }

/* For system(3), which takes `environ` inside the C library. */
void bj_exec_env_restore(void)
{
    const char *theirs = getenv("LD_PRELOAD");
    char *preload = alloca(sizeof library + (theirs ? strlen(theirs) : 0) + 16);
    join_preload(preload, theirs ? theirs : "");
    setenv("LD_PRELOAD", preload + 11, 1);
    for (int i = 0; i < OURS; i++)
        if (kept[i][0] != '\0') {
            char name[32];
            size_t len = strlen(names[i]) - 1;
            snprintf(name, sizeof name, "%.*s", (int)len, names[i]);
            setenv(name, kept[i] + len + 1, 1);
        }
}
