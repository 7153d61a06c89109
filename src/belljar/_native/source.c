/* The text of programs, with a digest where it is cut, and the code objects made of it. */
#define _GNU_SOURCE
#include <unistd.h>

#include "digest.h"
#include "encode.h"
#include "paths.h"

enum { MADE = 2000, FROM_FILE = 64, LABEL = 512 };

/* Is this the name of a file, as far as the disk knows? `<string>` is not, nor what a notebook or
 * a template engine makes up. */
static int names_file(PyObject *file)
{
    const char *path;
    Py_ssize_t len = 0;
    PyObject *keep = NULL;
    if (file == NULL || bj_path_bytes(file, &path, &len, &keep) < 0)
        return 0;
    int found = path[0] != '<' && strlen(path) == (size_t)len && access(path, F_OK) == 0;
    Py_DecRef(keep);
    return found;
}

void bj_put_source(struct bj_buf *b, PyObject *o, PyObject *file)
{
    unsigned char digest[BJ_DIGEST];
    struct bj_text text;
    if (bj_whole_text(o, &text) < 0) {
        Py_DecRef(text.keep);
        bj_value(b, o, FROM_FILE, 1);
        return;
    }
    size_t max = text.len > FROM_FILE && names_file(file) ? FROM_FILE : MADE;
    if (text.len <= max && bj_head_size(text.kind, text.len) + text.len <= b->cap - b->len) {
        bj_put_text(b, text.kind, text.at, text.len);
    } else {
        bj_sha256(text.at, text.len, digest);
        text.digest = digest;
        bj_put_cut(b, &text, max);
    }
    Py_DecRef(text.keep);
}

/* What names a place in a program: a file, a function. Cut with an ellipsis. */
void bj_put_label(struct bj_buf *b, PyObject *o, size_t max)
{
    struct bj_text text = {0};
    char copy[LABEL + 4];
    if (max > LABEL)
        max = LABEL;
    if (o == NULL || bj_whole_text(o, &text) < 0 || text.kind == BJ_BIN) {
        bj_put_str(b, "?", 1);
    } else if (text.len <= max) {
        bj_put_text(b, text.kind, text.at, text.len);
    } else {
        size_t keep = max;
        while (keep > 0 && ((unsigned char)text.at[keep] & 0xc0) == 0x80)
            keep--;
        memcpy(copy, text.at, keep);
        memcpy(copy + keep, "\xe2\x80\xa6", 3);
        bj_put_text(b, text.kind, copy, keep + 3);
        b->cut = 1;
    }
    Py_DecRef(text.keep);
}

void bj_put_code(struct bj_buf *b, PyObject *o)
{
    unsigned char room[2 * (LABEL + 16)];
    struct bj_buf inner = {.data = room, .cap = sizeof room};
    static const char *const parts[] = {"co_filename", "co_name", "co_firstlineno"};
    bj_put_array(&inner, 3);
    for (int i = 0; i < 3; i++) { /* the type of code objects cannot be patched */
        PyObject *part = PyObject_GetAttrString(o, parts[i]);
        int overflow = 1;
        long long line = part != NULL && i == 2 ? PyLong_AsLongLongAndOverflow(part, &overflow) : 0;
        if (i < 2)
            bj_put_label(&inner, part, i == 0 ? LABEL : LABEL / 4);
        else
            bj_put_int(&inner, overflow ? 0 : line);
        PyErr_Clear();
        Py_DecRef(part);
    }
    if (b->cap - b->len < 4 + inner.len) {
        bj_put_absent(b);
        return;
    }
    bj_put_ext_head(b, inner.len, BJ_EXT_CODE);
    memcpy(bj_room(b, inner.len), room, inner.len);
    b->cut |= inner.cut;
}
