#define _GNU_SOURCE
#include "window.h"

#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { R = 1, W = 2, L = 4, ALONE = 8, A = 16 };

struct entry {
    const char *path;
    size_t len;
    int rights;
};

static struct entry *table;
static size_t entries;
static uint32_t from[BJ_PATH + 1]; /* [len]: where entries that are no longer than len begin */
static int is_open, is_own;

static const struct bj_file_event events[] = {
    {"open", {0, -1}, {-1, -1}, "o"},
    {"os.listdir", {0, -1}, {-1, -1}, "l"},
    {"os.scandir", {0, -1}, {-1, -1}, "l"},
    {"os.mkdir", {0, -1}, {2, -1}, "w"},
    {"os.rename", {0, 1}, {2, 3}, "ww"},
    {"os.remove", {0, -1}, {1, -1}, "w"},
    {"os.rmdir", {0, -1}, {1, -1}, "w"},
    {"os.chdir", {0, -1}, {-1, -1}, "x"},
    {"os.chmod", {0, -1}, {2, -1}, "w"},
    {"os.chown", {0, -1}, {3, -1}, "w"},
    {"os.utime", {0, -1}, {3, -1}, "w"},
    {"os.truncate", {0, -1}, {-1, -1}, "w"},
    {"os.link", {0, 1}, {2, 3}, "ww"},
    {"os.symlink", {1, -1}, {2, -1}, "w"},
    {"os.listxattr", {0, -1}, {-1, -1}, "r"},
    {"os.getxattr", {0, -1}, {-1, -1}, "r"},
    {"os.setxattr", {0, -1}, {-1, -1}, "w"},
    {"os.removexattr", {0, -1}, {-1, -1}, "w"},
    {"os.exec", {0, -1}, {-1, -1}, ""},
    {"os.posix_spawn", {0, -1}, {-1, -1}, ""},
    {"subprocess.Popen", {0, -1}, {-1, -1}, ""},
    {"sqlite3.connect", {0, -1}, {-1, -1}, ""},
    {"cpython.run_file", {0, -1}, {-1, -1}, ""},
    {"ctypes.dlopen", {0, -1}, {-1, -1}, ""},
};

const struct bj_file_event *bj_file_event(const char *name)
{
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (name[0] == events[i].name[0] && strcmp(name, events[i].name) == 0)
            return &events[i];
    return NULL;
}

int bj_window_is_open(void) { return is_open; }
int bj_window_is_own(void) { return is_own; }

static int longest_first(const void *a, const void *b)
{
    size_t x = ((const struct entry *)a)->len, y = ((const struct entry *)b)->len;
    return (x < y) - (x > y);
}

static int parse(char *text)
{
    size_t lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    table = calloc(lines + 1, sizeof *table);
    if (table == NULL)
        return -1;
    while (*text) {
        char *end = strchr(text, '\n'), *tab = strchr(text, '\t');
        if (end == NULL || tab == NULL || tab > end || tab[1] != '/')
            return -1;
        *end = '\0';
        struct entry *e = &table[entries++];
        for (; text < tab; text++) {
            const char *letter = strchr("rwl.a-", *text);
            static const int means[] = {R, W, L, ALONE, A, 0};
            if (letter == NULL)
                return -1;
            e->rights |= means[letter - "rwl.a-"];
        }
        e->path = tab + 1;
        e->len = (size_t)(end - e->path);
        text = end + 1;
    }
    qsort(table, entries, sizeof *table, longest_first);
    for (size_t len = 0, at = entries; len <= BJ_PATH; len++) {
        while (at > 0 && table[at - 1].len <= len)
            at--;
        from[len] = (uint32_t)at;
    }
    return 0;
}

int bj_window_load(const char *file)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= 0 && st.st_size < 1 << 24)
        text = malloc((size_t)st.st_size + 1);
    ssize_t n = text == NULL ? -1 : read(fd, text, (size_t)st.st_size);
    if (fd >= 0)
        close(fd);
    if (n < 0 || n != st.st_size)
        return -1;
    text[n] = '\0'; /* kept: the table points into it */
    is_open = strlen(text) == (size_t)n && parse(text) == 0;
    return is_open ? 0 : -1;
}

int bj_window_set(const char *text)
{
    if (is_open)
        return 0; /* the walls are narrower than the first table; they decide */
    char *copy = strdup(text); /* kept: the table points into it */
    is_open = is_own = copy != NULL && parse(copy) == 0;
    return is_open ? 0 : -1;
}

/* The entry that is exactly the first `len` bytes of `path`. Names that differ mostly do so at
 * their ends. */
static const struct entry *entry_of(const char *path, size_t len, int beneath)
{
    size_t end = len > 0 ? from[len - 1] : entries;
    for (size_t i = from[len]; i < end; i++) {
        const struct entry *e = &table[i];
        if (e->path[len - 1] == path[len - 1] && !(beneath && e->rights & ALONE) &&
            memcmp(e->path, path, len) == 0)
            return e;
    }
    return NULL;
}

/* The longest that covers decides: from the whole path up to the root. */
static const struct entry *find(const char *path, size_t len)
{
    const struct entry *e = entry_of(path, len, 0);
    for (size_t at = len; e == NULL && at > 1;) {
        const char *slash = memrchr(path, '/', at);
        at = slash == NULL ? 0 : (size_t)(slash - path);
        e = at > 0 ? entry_of(path, at, 1) : entry_of("/", 1, len > 1);
    }
    return e;
}

static long small_int(PyObject *args, int i, long otherwise)
{
    PyObject *o = i < 0 || i >= PyTuple_Size(args) ? NULL : PyTuple_GetItem(args, i);
    if (o == NULL || !bj_exactly(o, &PyLong_Type))
        return otherwise;
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
    return overflow ? otherwise : (long)value;
}

/* What opening needs: from the mode where it is text, from the flags as well. A is enough instead of
 * W where it appends or creates; whether there is something already, the wall sees. */
static int open_needs(PyObject *args, int *adds, int *makes)
{
    long flags = small_int(args, 2, 0);
    *adds = (flags & (O_CREAT | O_APPEND)) != 0;
    *makes = !(flags & O_APPEND);
    int write = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC | O_APPEND);
    int read = (flags & O_ACCMODE) == O_RDWR;
    PyObject *mode = PyTuple_Size(args) > 1 ? PyTuple_GetItem(args, 1) : NULL;
    if (mode != NULL && bj_exactly(mode, &PyUnicode_Type)) {
        const char *text = PyUnicode_AsUTF8AndSize(mode, NULL);
        PyErr_Clear();
        write |= text != NULL && strpbrk(text, "wax+") != NULL;
        read |= text != NULL && strchr(text, '+') != NULL;
        *adds |= text != NULL && strpbrk(text, "wax") != NULL;
        *makes &= text == NULL || strchr(text, 'a') == NULL;
    }
    return write ? W | (read ? R : 0) : R;
}

static int is_default(PyObject *args, int dir_fd)
{
    return dir_fd < 0 || small_int(args, dir_fd, dir_fd < PyTuple_Size(args) ? 0 : -1) == -1;
}

/* The private temporary directory hides the host's: what is not there may be on the host, and only
 * the host can tell. `path` ends with a nul. */
static int hides(const struct entry *e, char *path, size_t size, int rights)
{
    static const char own[] = "/tmp";
    if (is_own || e->len != sizeof own - 1 || memcmp(e->path, own, e->len) != 0 || size == e->len)
        return 0;
    int before = errno;
    char *end = rights & W ? memrchr(path, '/', size) : path + size, kept = *end;
    *end = '\0'; /* what is made needs its directory */
    int missing = rights != 0 && access(path, F_OK) < 0 && errno == ENOENT;
    *end = kept;
    errno = before;
    return missing;
}

static enum bj_verdict judge_path(const struct bj_file_event *event, PyObject *args, int i)
{
    PyObject *o = PyTuple_GetItem(args, event->path[i]), *keep;
    char path[BJ_PATH];
    const char *asked;
    Py_ssize_t len = 0;
    size_t size;
    if (bj_exactly(o, &PyLong_Type) || o == Py_None)
        return BJ_PASS; /* a descriptor, the working directory: already opened */
    if (bj_path_bytes(o, &asked, &len, &keep) < 0)
        return BJ_UNSURE;
    int relative = len > 0 && asked[0] != '/';
    int failed = bj_normalise(path, &size, asked, (size_t)len);
    Py_DecRef(keep);
    if (failed || (relative && !is_default(args, event->dir_fd[i])))
        return BJ_UNSURE;
    if (relative && event->need[0] == 'o' && PyTuple_Size(args) > 1 &&
        PyTuple_GetItem(args, 1) == Py_None)
        return BJ_UNSURE; /* os.open does not tell its dir_fd */
    const struct entry *e = find(path, size);
    char need = event->need[i];
    int adds = 0, makes = 0, rights = need == 'r' ? R : need == 'w' ? W : need == 'l' ? L : 0;
    if (need == 'o')
        rights = open_needs(args, &adds, &makes);
    if (e == NULL) { /* making something in a directory that is seen is forbidden, not impossible */
        const char *slash = memrchr(path, '/', size);
        size_t parent = slash == NULL || slash == path ? 0 : (size_t)(slash - path);
        return rights & W && parent > 0 && entry_of(path, parent, 0) != NULL ? BJ_FORBIDDEN : BJ_MISSING;
    }
    if ((e->rights & rights) == rights)
        return hides(e, path, size, rights) ? BJ_UNSURE : BJ_PASS;
    if (adds && e->rights & A && rights == W) /* the host sees whether there was something to make */
        return makes ? BJ_UNSURE : BJ_PASS;
    /* Opening a directory to list it looks like reading it: let the wall tell them apart. */
    return need == 'o' && rights == R && e->rights & L ? BJ_UNSURE : BJ_FORBIDDEN;
}

/* An interpreter that looks for its library (`pyvenv.cfg`, beside whatever it is called) does not
 * expect an exception of a hook, and ends with a fatal error. None of the program's code runs before
 * it knows its path, and the walls answer. */
static int knows_its_path(void)
{
    static int knows;
    if (!knows)
        knows = Py_IsInitialized() || PySys_GetObject("path") != NULL;
    return knows;
}

enum bj_verdict bj_window_judge(const struct bj_file_event *event, PyObject *args)
{
    enum bj_verdict worst = BJ_PASS;
    if (!knows_its_path())
        return BJ_PASS;
    for (int i = 0; i < 2 && event->need[i] != 0; i++) {
        if (event->path[i] >= PyTuple_Size(args))
            return BJ_UNSURE;
        enum bj_verdict verdict = judge_path(event, args, i);
        if (verdict == BJ_MISSING)
            return verdict;
        if (verdict > worst)
            worst = verdict;
    }
    return worst;
}

void bj_window_raise(const struct bj_file_event *event, PyObject *args, enum bj_verdict verdict)
{
    int number = verdict == BJ_MISSING ? 2 : 13;
    const char *text = verdict == BJ_MISSING ? "No such file or directory" : "Permission denied";
    PyObject *first = PyTuple_GetItem(args, 0), *error;
    if (event->path[1] >= 0 || event->path[0] == 1) /* two names, as the kernel's error has */
        error = PyObject_CallFunction(PyExc_OSError, "isOOO", number, text, first, Py_None,
                                      PyTuple_GetItem(args, 1));
    else
        error = PyObject_CallFunction(PyExc_OSError, "isO", number, text, first);
    if (error == NULL)
        return; /* no memory: that exception is set, and refuses as well */
    if (is_own) { /* nothing to hide from oneself: BaseException.add_note, 3.11 */
        PyObject *done = PyObject_CallMethod(error, "add_note", "s",
                                             verdict == BJ_MISSING
                                                 ? "belljar: this process is confined, and no grant covers this path"
                                                 : "belljar: this process is confined, and the grant lacks this right");
        if (done == NULL)
            PyErr_Clear();
        else
            Py_DecRef(done);
    }
    PyObject *type = PyObject_Type(error);
    PyErr_SetObject(type, error);
    Py_DecRef(type);
    Py_DecRef(error);
}
