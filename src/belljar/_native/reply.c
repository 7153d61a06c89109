/* The collector's side of an answer. The file may be in an enemy's hands: it is written with
 * pwrite, which never faults, and its mapping is only ever named to the kernel. */
#define _GNU_SOURCE
#include "module.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "answers.h"

/* answer(file, slot, seq, verdict) -> was it stored? */
PyObject *bj_answer(PyObject *self, PyObject *args)
{
    (void)self;
    int file = -1;
    long long slot = 0;
    PyObject *number = NULL;
    int verdict = 0;
    if (!PyArg_ParseTuple(args, "iLO!i:answer", &file, &slot, &PyLong_Type, &number, &verdict))
        return NULL;
    unsigned long long seq = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred())
        return NULL;
    if (slot < 0 || slot > INT_MAX || verdict < 1 || verdict > 3) {
        PyErr_SetString(PyExc_ValueError, "no such slot or verdict");
        return NULL;
    }
    uint32_t word = bj_answer_word((uint32_t)slot, seq, (uint32_t)verdict);
    off_t at = (off_t)(slot % BJ_SLOTS) * BJ_SLOT + BJ_WORD;
    int stored = pwrite(file, &word, sizeof word, at) == (ssize_t)sizeof word;
    if (stored) {
        unsigned char *map = mmap(NULL, BJ_ANSWERS, PROT_READ, MAP_SHARED, file, 0);
        if (map != MAP_FAILED) {
            syscall(SYS_futex, map + at, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
            munmap(map, BJ_ANSWERS);
        }
    }
    return PyBool_FromLong(stored);
}
