/* Paths as events carry them, and as they read by name alone. */
#ifndef BELLJAR_PATHS_H
#define BELLJAR_PATHS_H
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "pyapi.h"

enum { BJ_PATH = 4096 };

/* The bytes of a str or bytes, as the system will be given them: 0, or -1 for anything else. `*keep` is to be dropped. */
static inline int bj_path_bytes(PyObject *o, const char **path, Py_ssize_t *len, PyObject **keep)
{
    *keep = NULL;
    if (bj_is_a(o, &PyUnicode_Type)) {
        *path = PyUnicode_AsUTF8AndSize(o, len);
        if (*path != NULL)
            return 0;
        PyErr_Clear();
        o = *keep = PyUnicode_AsEncodedString(o, "utf-8", "surrogateescape");
    } else if (!bj_is_a(o, &PyBytes_Type)) {
        return -1;
    }
    char *bytes = NULL;
    if (o == NULL || PyBytes_AsStringAndSize(o, &bytes, len) < 0) {
        PyErr_Clear();
        Py_DecRef(*keep);
        *keep = NULL;
        return -1;
    }
    *path = bytes;
    return 0;
}

/* Makes `path` absolute and drops `.`, `..` and doubled slashes by name alone, into `out` of
 * BJ_PATH bytes. -1: too long, empty, holds a NUL, or the working directory is out of sight. */
static inline int bj_normalise(char *out, size_t *size, const char *path, size_t len)
{
    size_t at = 0;
    if (len == 0 || len >= BJ_PATH || memchr(path, 0, len) != NULL)
        return -1;
    if (path[0] != '/') {
        if (getcwd(out, BJ_PATH) == NULL || out[0] != '/')
            return -1;
        at = strlen(out);
    }
    if (at + 1 + len >= BJ_PATH)
        return -1;
    if (at > 0)
        out[at++] = '/';
    memcpy(out + at, path, len);
    out[at + len] = '\0';
    size_t n = 0; /* never beyond the part being read */
    for (const char *c = out; *c;) {
        c++;
        size_t part = (size_t)(strchrnul(c, '/') - c);
        if (part == 2 && c[0] == '.' && c[1] == '.') {
            while (n > 0 && out[--n] != '/')
                ;
        } else if (part > 0 && !(part == 1 && c[0] == '.')) {
            out[n++] = '/';
            if (out + n != c)
                memmove(out + n, c, part);
            n += part;
        }
        c += part;
    }
    if (n == 0)
        out[n++] = '/';
    out[n] = '\0';
    *size = n;
    return 0;
}
#endif
