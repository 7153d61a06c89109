/* Edits that raise no audit event. CPython 3.12 and later tell of every change of a dictionary that
 * is watched, so the dictionaries of some modules of the standard library, of the classes defined
 * in them and `sys.modules` itself are; a class's own dictionary tells the attribute's name, which
 * PyType_Watch does not. What was a function or a class and is replaced or deleted is told, and
 * all that happens to a class; other variables of a module change in ordinary programs.
 *
 * Nothing here runs guest code: dictionaries are walked, never looked up in (a lookup may compare
 * with a guest's key), and only objects of C types are asked for anything. */
#define _GNU_SOURCE
#include "edits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "here.h"
#include "holders.h"
#include "recorder.h"
#include "stack.h"

enum { ADDED, MODIFIED, DELETED, CLONED, CLEARED, DEALLOCATED }; /* PyDict_WatchEvent */
enum { INTERPRETERS = 64, MOST = 4096 };

int PyDict_AddWatcher(int (*)(int, PyObject *, PyObject *, PyObject *)) BJ_WEAK;
int PyDict_Watch(int, PyObject *) BJ_WEAK;
int PyDict_Next(PyObject *, Py_ssize_t *, PyObject **, PyObject **) BJ_WEAK;
PyObject *PyDict_Items(PyObject *) BJ_WEAK;
void Py_IncRef(PyObject *) BJ_WEAK;
PyObject *PyType_GetDict(PyObject *) BJ_WEAK;
unsigned long PyType_GetFlags(PyObject *) BJ_WEAK;
PyObject *PyModule_GetDict(PyObject *) BJ_WEAK;
int PyUnicode_Compare(PyObject *, PyObject *) BJ_WEAK;
int PyUnicode_CompareWithASCIIString(PyObject *, const char *) BJ_WEAK;
PyObject *Py_BuildValue(const char *, ...) BJ_WEAK;
extern char PyModule_Type BJ_WEAK, PyFunction_Type BJ_WEAK, PyCFunction_Type BJ_WEAK;

/* What a patch of the standard library is made to: the modules through which a program reaches
 * the system, runs or loads code, and keeps secrets. */
static const char *const modules[] = {
    "sys", "builtins", "os", "posix", "io", "_io", "socket", "_socket", "ssl", "_ssl", "subprocess",
    "_posixsubprocess", "pathlib", "pathlib._local", "pathlib._abc", "shutil", "tempfile", "ctypes",
    "_ctypes", "importlib", "_frozen_importlib", "_frozen_importlib_external", "_imp", "marshal",
    "pickle", "_pickle", "code", "runpy", "zipimport", "hashlib", "hmac", "secrets", "http.client",
    "urllib.request", "asyncio.base_events", "multiprocessing.process", "threading", "signal",
};
enum { MODULES = sizeof modules / sizeof *modules };
/* What holds the import system's own lists, none of them a function. */
static const char *const held_by_sys[] = {"modules", "meta_path", "path_hooks", "path", "path_importer_cache"};
/* What the interpreter and `abc` themselves keep in a class. */
static const char *const kept_in_classes[] = {
    "__abstractmethods__", "_abc_impl", "__annotations__", "__annotations_cache__", "__annotate__",
    "__annotate_func__", "__doc__", "__weakref__", "__parameters__", "__firstlineno__",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* nothing of Python's is called under it */
static struct {
    long long interpreter;
    int watcher;
} known[INTERPRETERS];
static size_t known_count, known_next;
static atomic_int popped[MODULES]; /* taken out by the import machinery: it comes back complete */
static atomic_int told;

/* A class of C that Python code cannot alter: what it is an instance of says what it is. */
static int is_a(PyObject *o, const void *type)
{
    return bj_is_a(o, type);
}

/* A class that Python code can alter. */
static int is_open_class(PyObject *o)
{
    const unsigned long immutable = 1ul << 8, of_types = 1ul << 31; /* flags of a type, stable ABI */
    PyObject *own = PyObject_Type(o);
    Py_DecRef(own);
    return PyType_GetFlags(own) & of_types && !(PyType_GetFlags(o) & immutable);
}

static int is_text(PyObject *o, const char *text)
{
    return bj_exactly(o, &PyUnicode_Type) && PyUnicode_CompareWithASCIIString(o, text) == 0;
}

static int is_among(PyObject *o, const char *const *texts, int count)
{
    const char *text = bj_exactly(o, &PyUnicode_Type) ? PyUnicode_AsUTF8AndSize(o, NULL) : NULL;
    if (text == NULL)
        PyErr_Clear();
    for (int i = 0; i < count && text != NULL; i++)
        if (strcmp(text, texts[i]) == 0)
            return i;
    return -1;
}

/* Borrowed. Keys that are not exactly text are passed over. */
static PyObject *value_of(PyObject *dict, PyObject *key, const char *text)
{
    Py_ssize_t at = 0;
    PyObject *found = NULL, *value = NULL;
    while (PyDict_Next(dict, &at, &found, &value)) {
        if (found == key && key != NULL)
            return value;
        if (bj_exactly(found, &PyUnicode_Type) &&
            (text != NULL ? is_text(found, text) : PyUnicode_Compare(found, key) == 0))
            return value;
    }
    return NULL;
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

/* Of this interpreter: -1: it was tried and cannot be; -2: it was not tried. */
static int watcher_here(void)
{
    long long here = PyInterpreterState_GetID(PyInterpreterState_Get());
    int watcher = -2;
    pthread_mutex_lock(&lock);
    for (size_t i = known_count; i-- > 0 && watcher == -2;)
        if (known[i].interpreter == here)
            watcher = known[i].watcher;
    pthread_mutex_unlock(&lock);
    return watcher;
}

static void watch_dict(int watcher, PyObject *dict, const char *module, const char *name, int index)
{
    if (bj_holder_note(dict, module, name, index) == 0 && PyDict_Watch(watcher, dict) < 0) {
        PyErr_Clear();
        bj_holder_forget(dict);
    }
}

/* The module's own dictionary and those of the classes that were defined in it. */
static void watch_module(int watcher, PyObject *module, int index)
{
    if (!is_a(module, &PyModule_Type))
        return;
    PyObject *dict = PyModule_GetDict(module), *items = PyDict_Items(dict);
    watch_dict(watcher, dict, modules[index], NULL, index);
    for (Py_ssize_t i = 0; items != NULL && i < PySequence_Size(items); i++) {
        PyObject *pair = PySequence_GetItem(items, i);
        PyObject *key = PyTuple_GetItem(pair, 0), *value = PyTuple_GetItem(pair, 1);
        if (is_open_class(value) && bj_exactly(key, &PyUnicode_Type)) {
            PyObject *members = PyType_GetDict(value);
            PyObject *home = members == NULL ? NULL : value_of(members, NULL, "__module__");
            const char *name = PyUnicode_AsUTF8AndSize(key, NULL);
            if (home != NULL && name != NULL && is_text(home, modules[index]))
                watch_dict(watcher, members, modules[index], name, index);
            Py_DecRef(members);
        }
        Py_DecRef(pair);
    }
    Py_DecRef(items);
    PyErr_Clear();
}

static PyObject *file_of_caller(void)
{
    PyObject *frame = PyEval_GetFrame(), *file = NULL;
    if (frame != NULL && frame != Py_None) {
        PyObject *code = PyFrame_GetCode(frame);
        file = PyObject_GetAttrString(code, "co_filename"); /* C alone, its type cannot be patched */
        Py_DecRef(code);
    }
    return file;
}

static int is_machinery(void)
{
    static const char frozen[] = "<frozen importlib";
    PyObject *file = file_of_caller();
    const char *text = file != NULL && bj_exactly(file, &PyUnicode_Type) ? PyUnicode_AsUTF8AndSize(file, NULL) : NULL;
    int machinery = text == NULL || strncmp(text, frozen, sizeof frozen - 1) == 0;
    Py_DecRef(file);
    PyErr_Clear();
    return machinery;
}

static void tell(const char *kind, const char *holder, PyObject *key)
{
    int number = atomic_fetch_add(&told, 1);
    if (number > MOST)
        return;
    if (number == MOST)
        kind = "more", key = NULL; /* and nothing of this sort from here on */
    PyObject *args = Py_BuildValue("(ssO)", kind, holder, key == NULL ? Py_None : key);
    if (args != NULL)
        bj_record("belljar.edit", args); /* it cannot be refused: the change is already under way */
    Py_DecRef(args);
    PyErr_Clear();
}

static void of_sys_modules(int event, PyObject *key, PyObject *value)
{
    static const char holder[] = "sys.modules";
    int index = key == NULL ? -1 : is_among(key, modules, MODULES);
    if (event == ADDED && index < 0)
        return;
    int machinery = is_machinery();
    if (event == DELETED && machinery && index >= 0)
        popped[index] = 1;
    else if (event == ADDED && machinery && index >= 0 && value != NULL && popped[index]) {
        popped[index] = 0;
        watch_module(watcher_here(), value, index);
    } else if (!machinery && event == MODIFIED && !is_text(key, "collections.abc")) /* 3.13 itself does */
        tell("replace", holder, key);
    else if (!machinery && event == DELETED)
        tell("delete", holder, key);
    else if (!machinery && event == CLEARED)
        tell("clear", holder, NULL);
    else if (!machinery && event == ADDED && index >= 0)
        tell("add", holder, key); /* a module that the program made up */
}

static void of_module(int event, PyObject *dict, const struct bj_holder *holder, PyObject *key)
{
    if (event == CLEARED && !is_machinery())
        tell("clear", holder->text, NULL);
    if ((event != MODIFIED && event != DELETED) || !bj_exactly(key, &PyUnicode_Type))
        return;
    PyObject *old = value_of(dict, key, NULL);
    int counts = old != NULL && (is_a(old, &PyFunction_Type) || is_a(old, &PyCFunction_Type) || is_a(old, &PyType_Type));
    if (!counts && holder->module == 0)
        counts = is_among(key, held_by_sys, sizeof held_by_sys / sizeof *held_by_sys) >= 0;
    if (counts && !is_machinery())
        tell(event == MODIFIED ? "replace" : "delete", holder->text, key);
}

static void of_class(int event, const struct bj_holder *holder, PyObject *key)
{
    static const char *const kinds[] = {"add", "replace", "delete"};
    if (event > DELETED || is_among(key, kept_in_classes, sizeof kept_in_classes / sizeof *kept_in_classes) >= 0)
        return;
    if (!is_machinery())
        tell(kinds[event], holder->text, key);
}

static int on_change(int event, PyObject *dict, PyObject *key, PyObject *value)
{
    struct bj_holder holder;
    if (event == DEALLOCATED)
        bj_holder_forget(dict);
    /* Without any Python frame it is the interpreter that ends and empties its modules. */
    if (event >= DEALLOCATED || PyEval_GetFrame() == NULL || !bj_holder_find(dict, &holder) ||
        (!bj_channel_is_open() && !bj_here_wants("belljar.edit")))
        return 0;
    PyObject *type = NULL, *error = NULL, *trace = NULL;
    PyErr_Fetch(&type, &error, &trace);
    if (strcmp(holder.text, "sys.modules") == 0)
        of_sys_modules(event, key, value);
    else if (holder.is_class)
        of_class(event, &holder, key);
    else
        of_module(event, dict, &holder, key);
    PyErr_Restore(type, error, trace);
    return 0;
}

/* -1: all eight watchers of the interpreter are taken, or there are more interpreters than fit. */
static int get_watcher(void)
{
    static int forks;
    long long here = PyInterpreterState_GetID(PyInterpreterState_Get());
    int watcher = PyDict_AddWatcher(on_change);
    if (watcher < 0)
        PyErr_Clear();
    pthread_mutex_lock(&lock);
    if (!forks)
        forks = pthread_atfork(before_fork, after_fork, after_fork) == 0;
    known[known_next % INTERPRETERS].interpreter = here; /* the oldest is forgotten, and tried again */
    known[known_next++ % INTERPRETERS].watcher = watcher;
    known_count = known_next < INTERPRETERS ? known_next : INTERPRETERS;
    pthread_mutex_unlock(&lock);
    return watcher;
}

static void begin_here(PyObject *all)
{
    PyObject *key = NULL, *value = NULL, *present[MODULES] = {0};
    int watcher = get_watcher();
    if (watcher < 0)
        return;
    watch_dict(watcher, all, "sys", "modules", 0);
    for (Py_ssize_t at = 0; PyDict_Next(all, &at, &key, &value);) {
        int index = is_among(key, modules, MODULES);
        if (index >= 0)
            Py_IncRef(value), present[index] = value;
    }
    for (int i = 0; i < MODULES; i++)
        if (present[i] != NULL)
            watch_module(watcher, present[i], i), Py_DecRef(present[i]);
}

void bj_edits_begin(void)
{
    PyObject *type = NULL, *error = NULL, *trace = NULL;
    if (PyDict_AddWatcher == NULL || PyType_GetDict == NULL || watcher_here() != -2)
        return;
    PyErr_Fetch(&type, &error, &trace);
    PyObject *all = PySys_GetObject("modules");
    if (all != NULL && bj_exactly(all, &PyDict_Type))
        begin_here(all);
    PyErr_Restore(type, error, trace);
}

/* The interpreter ends. An embedder may begin another, where all has to be done again. */
static void end_all(void)
{
    pthread_mutex_lock(&lock);
    known_count = known_next = 0;
    pthread_mutex_unlock(&lock);
    bj_holders_clear();
    bj_hook_gone();
}

/* Every interpreter imports before it runs anything, and after importlib is there. */
void bj_edits_try(const char *name)
{
    if (strcmp(name, "cpython._PySys_ClearAuditHooks") == 0 && !Py_IsInitialized())
        end_all();
    else if ((strcmp(name, "import") == 0 || strncmp(name, "cpython.run_", 12) == 0) && bj_has_thread_state())
        bj_edits_begin();
}
