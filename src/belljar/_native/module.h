/* Functions of the extension module. */
#ifndef BELLJAR_MODULE_H
#define BELLJAR_MODULE_H
#include "pyapi.h"

PyObject *bj_scan_frames(PyObject *self, PyObject *args);
PyObject *bj_unskipped(PyObject *self, PyObject *args);
PyObject *bj_answer(PyObject *self, PyObject *args);
PyObject *bj_unpack(PyObject *self, PyObject *args);
PyObject *bj_confine_try(PyObject *self, PyObject *args);
PyObject *bj_confine_apply(PyObject *self, PyObject *args);
PyObject *bj_is_alone(PyObject *self, PyObject *none);
PyObject *bj_reader_open(PyObject *self, PyObject *args);
PyObject *bj_reader_take(PyObject *self, PyObject *args);
PyObject *bj_open_window(PyObject *self, PyObject *args);
PyObject *bj_reader_close(PyObject *self, PyObject *args);
PyObject *bj_unchanged(PyObject *self, PyObject *args);
#endif
