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
    if (out->version < BJ_OLDEST || out->version > BJ_VERSION)
        return "bad version";
    if (out->kind < BJ_HELLO || out->kind > (out->version == 1 ? BJ_BYE : BJ_SYSCALL))
        return "bad kind";
    if (out->length <= BJ_HEADER || out->length > BJ_FRAME)
        return "bad length";
    return out->length <= size ? BJ_WHOLE : BJ_PARTIAL;
}

long bj_event_name(const unsigned char *body, size_t size, const unsigned char **name)
{
    if (size < 2 || (body[0] & 0xF0) != 0x90)
        return -1;
    size_t head = 2, length;
    if ((body[1] & 0xE0) == 0xA0)
        length = body[1] & 0x1F;
    else if (body[1] == 0xD9 && size >= 3)
        head = 3, length = body[2];
    else
        return -1;
    *name = body + head;
    return length <= size - head ? (long)length : -1;
}

uint64_t bj_loss_count(const unsigned char *body, size_t size)
{
    if (size < 2 || body[0] != 0x91)
        return 0;
    if (body[1] < 0x80)
        return body[1];
    size_t width = body[1] < 0xCC || body[1] > 0xCF ? 0 : (size_t)1 << (body[1] - 0xCC);
    uint64_t count = 0;
    for (size_t i = 0; i < width && width <= size - 2; i++)
        count = count << 8 | body[2 + i];
    return count;
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

/* Checks the frame's number against its process's last one and remembers it. `first` is the first
 * number that the frame accounts for. */
static int follow(PyObject *last, const struct bj_header *head, uint64_t first, PyObject *findings)
{
    PyObject *pid = PyLong_FromUnsignedLong(head->pid);
    if (pid == NULL)
        return -1;
    uint64_t expected = 0;
    int failed = 0;
    if (head->kind != BJ_HELLO) {
        failed = last_seq(last, pid, &expected);
        if (failed > 0)
            expected += head->kind == BJ_EVENT || head->kind == BJ_LOSS;
    }
    if (failed >= 0 && first != expected)
        failed = append(findings, Py_BuildValue("(OKK)", pid, (unsigned long long)expected,
                                                (unsigned long long)first));
    PyObject *seq = failed < 0 ? NULL : PyLong_FromUnsignedLongLong(head->seq);
    if (seq == NULL || PyDict_SetItem(last, pid, seq) < 0)
        failed = -1;
    Py_XDECREF(seq);
    Py_DECREF(pid);
    return failed < 0 ? -1 : 0;
}

/* Where only one process may speak: what it said, without what came in another's name. */
struct only { uint32_t pid; unsigned char *kept; size_t size, others; };

static int walk(const unsigned char *data, size_t size, PyObject *last, PyObject *flagged,
                PyObject *findings, size_t *consumed, size_t *count, struct only *only)
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
        size_t place_of = *consumed;
        if (only->kept != NULL) {
            if (head.pid != only->pid) {
                only->others++;
                *consumed += head.length;
                continue;
            }
            place_of = only->size;
            memcpy(only->kept + place_of, data + *consumed, head.length);
            only->size += head.length;
        }
        const unsigned char *body = data + *consumed + BJ_HEADER;
        uint64_t first = head.seq;
        if (head.kind == BJ_LOSS)
            first += 1 - bj_loss_count(body, head.length - (size_t)BJ_HEADER);
        if (head.kind != BJ_SYSCALL && follow(last, &head, first, findings) < 0)
            return -1;
        if (head.kind != BJ_EVENT || head.flags & BJ_CHECK) {
            PyObject *place = Py_BuildValue("(ni)", (Py_ssize_t)place_of, (int)head.length);
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
    unsigned pid = 0;
    if (!PyArg_ParseTuple(args, "SO!|I:scan_frames", &data, &PyDict_Type, &last, &pid) ||
        PyBytes_AsStringAndSize(data, &bytes, &size) < 0)
        return NULL;
    struct only only = {.pid = pid, .kept = pid ? PyMem_Malloc((size_t)size + 1) : NULL};
    if (pid && only.kept == NULL)
        return PyErr_NoMemory();
    size_t consumed = 0, count = 0;
    PyObject *flagged = PyList_New(0), *findings = PyList_New(0), *result = NULL;
    if (flagged != NULL && findings != NULL &&
        walk((const unsigned char *)bytes, (size_t)size, last, flagged, findings, &consumed,
             &count, &only) == 0)
        result = !pid ? Py_BuildValue("(nnOO)", (Py_ssize_t)consumed, (Py_ssize_t)count, flagged, findings)
                      : Py_BuildValue("(nnOOny#)", (Py_ssize_t)consumed, (Py_ssize_t)count, flagged, findings,
                                      (Py_ssize_t)only.others, (char *)only.kept, (Py_ssize_t)only.size);
    PyMem_Free(only.kept);
    Py_XDECREF(flagged);
    Py_XDECREF(findings);
    return result;
}

/* Is the event's name one of `skip`? What has no plain name is not; -1 with an exception. */
static int is_skipped(const unsigned char *body, size_t size, PyObject *skip)
{
    const unsigned char *name;
    long length = bj_event_name(body, size, &name);
    if (length < 0)
        return 0;
    PyObject *key = PyBytes_FromStringAndSize((const char *)name, (Py_ssize_t)length);
    int found = key == NULL ? -1 : PySequence_Contains(skip, key);
    Py_XDECREF(key);
    return found;
}

PyObject *bj_unskipped(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *data = NULL, *skip = NULL;
    char *bytes = NULL;
    Py_ssize_t size = 0, at = 0;
    if (!PyArg_ParseTuple(args, "SO:unskipped", &data, &skip) ||
        PyBytes_AsStringAndSize(data, &bytes, &size) < 0)
        return NULL;
    PyObject *places = PyList_New(0);
    struct bj_header head;
    while (places != NULL && bj_next_frame((const unsigned char *)bytes + at, (size_t)(size - at),
                                           &head) == BJ_WHOLE) {
        const unsigned char *body = (const unsigned char *)bytes + at + BJ_HEADER;
        int skipped = head.kind != BJ_EVENT;
        if (!skipped)
            skipped = is_skipped(body, head.length - (size_t)BJ_HEADER, skip);
        if (skipped < 0 ||
            (!skipped && append(places, Py_BuildValue("(ni)", at, (int)head.length)) < 0))
            Py_CLEAR(places);
        at += head.length;
    }
    return places;
}
#endif
