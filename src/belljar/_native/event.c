#define _GNU_SOURCE
#include "event.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "family.h"
#include "recorder.h"
#include "settings.h"
#include "stack.h"
#include "whereabouts.h"

enum { CWD_TEXT = 1024, EXECUTABLE_TEXT = 512 };
enum { KEPT = 1400, KEPT_STACK = 1000 }; /* for what follows the arguments */
enum { LAST = 1 + 5 + 3 };               /* working directory, slot, stack: their least */

static void put_args(struct bj_buf *b, const struct bj_name *known, PyObject *args)
{
    Py_ssize_t size = args == NULL ? 0 : PyTuple_Size(args);
    size_t n = size > BJ_MAX_ITEMS ? BJ_MAX_ITEMS : (size_t)size;
    bj_put_array(b, n);
    for (size_t i = 0; i < n; i++) {
        PyObject *o = PyTuple_GetItem(args, (Py_ssize_t)i);
        bj_reserve(b, n - 1 - i);
        if (i >= known->told)
            bj_put_nil(b);
        else if (i == 0 && known->flags & BJ_NAME_SOURCE)
            bj_put_source(b, o, n > 1 ? PyTuple_GetItem(args, 1) : NULL);
        else if (i > 0 || !(known->flags & BJ_NAME_ADDRESS) || !bj_put_socket(b, o))
            bj_value(b, o, i == 0 ? known->first : BJ_MAX_TEXT, 1);
        bj_release(b, n - 1 - i);
    }
}

/* Is code executed that was made, not read from a file? Then the caller is told, whoever answers for
 * the event: what `namedtuple` or `dataclass` make for themselves is no news. */
static int executes_made(const char *name, PyObject *args)
{
    if (name[0] != 'e' || strcmp(name, "exec") != 0 || PyTuple_Size(args) < 1)
        return 0;
    PyObject *code = PyTuple_GetItem(args, 0), *file = NULL;
    if (bj_exactly(code, &PyCode_Type))
        file = bj_attribute(code, BJ_FILE_NAME);
    const char *text = file != NULL ? PyUnicode_AsUTF8AndSize(file, NULL) : NULL;
    if (text == NULL)
        PyErr_Clear();
    int made = text != NULL && text[0] == '<' && strncmp(text, "<frozen ", 8) != 0;
    Py_DecRef(file);
    return made;
}

/* Does it import, look at something, or do something? Looking and importing come in thousands. */
static enum bj_reach reach_of(const struct bj_name *known, const char *name, PyObject *args)
{
    static const char *const imports[] = {"import", "exec", "compile", "marshal.loads", "marshal.load",
                                          "marshal.dumps", "code.__new__", "function.__new__",
                                          "sys._getframe", "object.__getattr__"};
    enum { WRITES = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND };
    if (known->file != NULL && known->file->need[0] == 'o') {
        PyObject *flags = args != NULL && PyTuple_Size(args) > 2 ? PyTuple_GetItem(args, 2) : NULL;
        int overflow = 0;
        if (flags == NULL || !bj_exactly(flags, &PyLong_Type))
            return BJ_ACTS;
        return PyLong_AsLongLongAndOverflow(flags, &overflow) & WRITES ? BJ_ACTS : BJ_READS;
    }
    if (known->file != NULL)
        return known->file->need[0] == 'l' || known->file->need[0] == 'r' ? BJ_READS : BJ_ACTS;
    for (size_t i = 0; i < sizeof imports / sizeof *imports; i++)
        if (name[0] == imports[i][0] && strcmp(name, imports[i]) == 0)
            return BJ_IMPORTS;
    return BJ_ACTS;
}

void bj_put_event(struct bj_buf *b, const struct bj_name *known, const char *name, PyObject *args,
                  int alive, int slot)
{
    char room[BJ_FRAME], seen[BJ_FRAME];
    const char *base = NULL, *real = NULL;
    int stacks = alive ? bj_settings.stacks : 0;
    if (alive && stacks == 0 && executes_made(name, args))
        stacks = 1;
    if (known->file != NULL && alive) {
        base = bj_base_of(known->file, args, room);
        if (bj_settings.resolve)
            real = bj_resolved(known->file, args, base, seen);
    } else if (known->flags & BJ_NAME_ADDRESS && alive) {
        base = bj_base_of_address(args, room);
    }
    size_t fields = real != NULL ? 7 : stacks > 0 ? 6 : slot >= 0 ? 5 : 4;
    size_t kept = KEPT + (stacks > 0 ? KEPT_STACK : 0) + (real != NULL ? BJ_MAX_TEXT : 0);
    bj_put_array(b, fields);
    if (known->length > 0)
        bj_put_str(b, known->name, known->length);
    else
        bj_text(b, name, strlen(name), BJ_NAME_TEXT);
    bj_reserve(b, kept);
    put_args(b, known, alive ? args : NULL); /* 3.8 tells of events before there is a thread */
    bj_release(b, kept);
    bj_reserve(b, LAST);
    if (alive)
        bj_put_frame(b, reach_of(known, name, args));
    else
        bj_put_nil(b);
    if (base != NULL)
        bj_text(b, base, strlen(base), CWD_TEXT);
    else
        bj_put_nil(b);
    bj_release(b, LAST);
    if (fields > 4 && slot >= 0)
        bj_put_uint(b, (uint64_t)slot);
    else if (fields > 4)
        bj_put_nil(b);
    bj_reserve(b, real != NULL ? BJ_MAX_TEXT : 0);
    if (fields > 5 && stacks > 0)
        bj_put_stack(b, stacks, bj_settings.locals);
    else if (fields > 5)
        bj_put_nil(b);
    bj_release(b, real != NULL ? BJ_MAX_TEXT : 0);
    if (fields > 6)
        bj_text(b, real, strlen(real), BJ_MAX_TEXT);
}

/* When this process began, in clock ticks since boot: tells it from others of the same pid. */
static uint64_t started(void)
{
    char text[1024];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC); /* not told */
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

void bj_put_hello(struct bj_buf *b, const char *version, const unsigned char *words, size_t size,
                  uint64_t drops)
{
    char path[BJ_FRAME];
    bj_put_array(b, 8);
    bj_put_str(b, version, strlen(version));
    bj_put_int(b, getppid());
    memcpy(bj_room(b, size), words, size);
    if (getcwd(path, sizeof path) != NULL)
        bj_text(b, path, strlen(path), CWD_TEXT);
    else
        bj_put_nil(b);
    bj_put_uint(b, drops);
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);
    if (len > 0)
        bj_text(b, path, (size_t)len, EXECUTABLE_TEXT);
    else
        bj_put_nil(b);
    bj_put_uint(b, getuid());
    bj_put_uint(b, started());
}
