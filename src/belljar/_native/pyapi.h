/* The few CPython functions we use. The extension takes them from Python.h; the recorder, which
 * must load into any CPython from 3.8 on and into programs that are not Python, declares them
 * here by hand: weak, so that they are NULL where there is no Python, and with opaque objects, so
 * that no layout of any build (debug, free-threaded) is assumed. */
#ifndef BELLJAR_PYAPI_H
#define BELLJAR_PYAPI_H

#ifdef BELLJAR_EXTENSION
#define PY_SSIZE_T_CLEAN
#include <Python.h>
extern PyTypeObject PyCode_Type; /* not in the limited API; only its address is used */
#else
#include <sys/types.h>

typedef struct _object PyObject;
typedef ssize_t Py_ssize_t;
typedef int (*Py_AuditHookFunction)(const char *, PyObject *, void *);
#define BJ_WEAK __attribute__((weak))

/* Data symbols. Only their addresses are used. */
extern char PyBool_Type BJ_WEAK, PyBytes_Type BJ_WEAK, PyDict_Type BJ_WEAK, PyFloat_Type BJ_WEAK;
extern char PyFrame_Type BJ_WEAK, PyList_Type BJ_WEAK, PyLong_Type BJ_WEAK, PyTuple_Type BJ_WEAK;
extern char PyType_Type BJ_WEAK, PyUnicode_Type BJ_WEAK, PyCode_Type BJ_WEAK;
extern char _Py_NoneStruct BJ_WEAK, _Py_TrueStruct BJ_WEAK;
extern PyObject *PyExc_OSError BJ_WEAK;
#define Py_None ((PyObject *)&_Py_NoneStruct)
#define Py_True ((PyObject *)&_Py_TrueStruct)

int PySys_AddAuditHook(Py_AuditHookFunction, void *) BJ_WEAK;
const char *Py_GetVersion(void) BJ_WEAK;
int Py_IsInitialized(void) BJ_WEAK;
void *PyThreadState_GetUnchecked(void) BJ_WEAK;   /* 3.13 */
void *_PyThreadState_UncheckedGet(void) BJ_WEAK;  /* before */
void *PyInterpreterState_Get(void) BJ_WEAK;       /* 3.9 */
long long PyInterpreterState_GetID(void *) BJ_WEAK;

void Py_DecRef(PyObject *) BJ_WEAK;
PyObject *PyObject_Type(PyObject *) BJ_WEAK;
PyObject *PyType_GetName(PyObject *) BJ_WEAK; /* 3.11 */
int PyType_IsSubtype(PyObject *, PyObject *) BJ_WEAK;
PyObject *PyObject_GetAttr(PyObject *, PyObject *) BJ_WEAK;
PyObject *PyObject_GetAttrString(PyObject *, const char *) BJ_WEAK;
PyObject *PyObject_CallMethod(PyObject *, const char *, const char *, ...) BJ_WEAK;
PyObject *PyObject_CallFunction(PyObject *, const char *, ...) BJ_WEAK;
PyObject *PyMapping_GetItemString(PyObject *, const char *) BJ_WEAK;

PyObject *PyErr_Occurred(void) BJ_WEAK;
void PyErr_Clear(void) BJ_WEAK;
void PyErr_Fetch(PyObject **, PyObject **, PyObject **) BJ_WEAK;
void PyErr_Restore(PyObject *, PyObject *, PyObject *) BJ_WEAK;
void PyErr_SetObject(PyObject *, PyObject *) BJ_WEAK;

PyObject *PyEval_GetFrame(void) BJ_WEAK;             /* borrowed */
PyObject *PyFrame_GetBack(PyObject *) BJ_WEAK;       /* 3.9 */
PyObject *PyFrame_GetCode(PyObject *) BJ_WEAK;       /* 3.9 */
int PyFrame_GetLineNumber(PyObject *) BJ_WEAK;
PyObject *PySys_GetObject(const char *) BJ_WEAK;     /* borrowed */

Py_ssize_t PyTuple_Size(PyObject *) BJ_WEAK;
PyObject *PyTuple_GetItem(PyObject *, Py_ssize_t) BJ_WEAK;  /* borrowed */
Py_ssize_t PySequence_Size(PyObject *) BJ_WEAK;
PyObject *PySequence_GetItem(PyObject *, Py_ssize_t) BJ_WEAK;
PyObject *PyDict_Keys(PyObject *) BJ_WEAK;
int PyBytes_AsStringAndSize(PyObject *, char **, Py_ssize_t *) BJ_WEAK;
const char *PyUnicode_AsUTF8AndSize(PyObject *, Py_ssize_t *) BJ_WEAK;
PyObject *PyUnicode_AsEncodedString(PyObject *, const char *, const char *) BJ_WEAK;
Py_ssize_t PyUnicode_GetLength(PyObject *) BJ_WEAK;
PyObject *PyUnicode_InternFromString(const char *) BJ_WEAK;
PyObject *PyUnicode_Substring(PyObject *, Py_ssize_t, Py_ssize_t) BJ_WEAK;
double PyFloat_AsDouble(PyObject *) BJ_WEAK;
long PyLong_AsLong(PyObject *) BJ_WEAK;
long long PyLong_AsLongLongAndOverflow(PyObject *, int *) BJ_WEAK;
unsigned long long PyLong_AsUnsignedLongLong(PyObject *) BJ_WEAK;
#endif

/* Whether the type of `o` is exactly the one at this address: no guest code runs. */
static inline int bj_exactly(PyObject *o, const void *type)
{
    PyObject *own = PyObject_Type(o);
    Py_DecRef(own); /* the object keeps its type alive */
    return (const void *)own == type;
}

/* Whether its type is that one or derived from it, by the order that the type keeps: whatever a
 * class defines is not looked at. */
static inline int bj_is_a(PyObject *o, const void *type)
{
    PyObject *own = PyObject_Type(o);
    Py_DecRef(own);
#ifdef BELLJAR_EXTENSION
    return (const void *)own == type || PyType_IsSubtype((PyTypeObject *)own, (PyTypeObject *)type);
#else
    return (const void *)own == type || PyType_IsSubtype(own, (PyObject *)type);
#endif
}
#endif
