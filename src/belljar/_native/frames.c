/* Walks whole frames in bytes that may come from an enemy. `bj_next_frame` knows no Python, so
 * that the fuzzer can drive it alone. */
#ifdef BELLJAR_FUZZ
#include <stddef.h>
#else
#include "module.h"
#endif
#include <endian.h>
#include <string.h>

#include "frames.h"

const char bj_partial[] = "partial";

const char *bj_next_frame(const unsigned char *data, size_t size, struct bj_header *out)
{
    if (size < BJ_HEADER)
        return BJ_PARTIAL;
    memcpy(out, data, BJ_HEADER);
    out->magic = le16toh(out->magic);
    out->length = le16toh(out->length);
    out->version = le16toh(out->version);
    out->pid = le32toh(out->pid);
    out->thread = le32toh(out->thread);
    out->seq = le64toh(out->seq);
    out->time = le64toh(out->time);
    if (out->magic != BJ_MAGIC)
        return "bad magic";
    if (out->version != BJ_VERSION)
        return "bad version";
    if (out->kind < BJ_HELLO || out->kind > BJ_BYE)
        return "bad kind";
    if (out->length <= BJ_HEADER || out->length > BJ_FRAME)
        return "bad length";
    return out->length <= size ? BJ_WHOLE : BJ_PARTIAL;
}

#ifndef BELLJAR_FUZZ
/* The last seq of `pid`: 1 and `*seq`, 0 if it has none, -1 with an exception. */
static int last_seq(PyObject *last, PyObject *pid, uint64_t *seq)
{
    PyObject *known = PyDict_GetItemWithError(last, pid);
    if (known == NULL)
        return PyErr_Occurred() ? -1 : 0;
    *seq = PyLong_AsUnsignedLongLong(known);
    return PyErr_Occurred() ? -1 : 1;
}

static int append(PyObject *list, PyObject *item)
{
    int failed = item == NULL || PyList_Append(list, item) < 0;
    Py_XDECREF(item);
    return failed ? -1 : 0;
}

/* Checks the frame's number against its process's last one and remembers it. */
static int follow(PyObject *last, const struct bj_header *head, PyObject *findings)
{
    PyObject *pid = PyLong_FromUnsignedLong(head->pid);
    if (pid == NULL)
        return -1;
    uint64_t expected = 0;
    int failed = 0;
    if (head->kind != BJ_HELLO) {
        failed = last_seq(last, pid, &expected);
        if (failed > 0)
            expected += head->kind == BJ_EVENT;
    }
    if (failed >= 0 && head->seq != expected)
        failed = append(findings, Py_BuildValue("(OKK)", pid, (unsigned long long)expected,
                                                (unsigned long long)head->seq));
    PyObject *seq = failed < 0 ? NULL : PyLong_FromUnsignedLongLong(head->seq);
    if (seq == NULL || PyDict_SetItem(last, pid, seq) < 0)
        failed = -1;
    Py_XDECREF(seq);
    Py_DECREF(pid);
    return failed < 0 ? -1 : 0;
}

static int walk(const unsigned char *data, size_t size, PyObject *last, PyObject *flagged,
                PyObject *findings, size_t *consumed, size_t *count)
{
    for (;;) {
        struct bj_header head;
        const char *verdict = bj_next_frame(data + *consumed, size - *consumed, &head);
        if (verdict == BJ_PARTIAL)
            return 0;
        if (verdict != BJ_WHOLE) {
            if (*consumed > 0)
                return 0; /* the good frames first; the next call begins with this one */
            PyErr_Format(PyExc_ValueError, "%s in the frame at offset %zu", verdict, *consumed);
            return -1;
        }
        if (follow(last, &head, findings) < 0)
            return -1;
        if (head.kind != BJ_EVENT || head.flags & BJ_CHECK) {
            PyObject *place = Py_BuildValue("(ni)", (Py_ssize_t)*consumed, (int)head.length);
            if (append(flagged, place) < 0)
                return -1;
        }
        *consumed += head.length;
        *count += 1;
    }
}

PyObject *bj_scan_frames(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *data = NULL, *last = NULL;
    char *bytes = NULL;
    Py_ssize_t size = 0;
    if (!PyArg_ParseTuple(args, "SO!:scan_frames", &data, &PyDict_Type, &last) ||
        PyBytes_AsStringAndSize(data, &bytes, &size) < 0)
        return NULL;
    size_t consumed = 0, count = 0;
    PyObject *flagged = PyList_New(0), *findings = PyList_New(0), *result = NULL;
    if (flagged != NULL && findings != NULL &&
        walk((const unsigned char *)bytes, (size_t)size, last, flagged, findings, &consumed,
             &count) == 0)
        result = Py_BuildValue("(nnOO)", (Py_ssize_t)consumed, (Py_ssize_t)count, flagged, findings);
    Py_XDECREF(flagged);
    Py_XDECREF(findings);
    return result;
}
#endif
