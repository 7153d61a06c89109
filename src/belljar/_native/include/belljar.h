/* Belljar for programs that embed CPython. docs/embedding.md has a complete one.
 *
 * Link with -lbelljar-recorder, or define BELLJAR_OPTIONAL before this file: then the program needs
 * nothing to be linked or started, and the function is NULL unless `belljar watch` brought it. */
#ifndef BELLJAR_H
#define BELLJAR_H

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BELLJAR_STARTED = 0,        /* everything from here on is recorded */
    BELLJAR_ALREADY = 1,        /* it was recorded before; the channel given is not looked at */
    BELLJAR_NO_CHANNEL = -1,    /* NULL was given and BELLJAR_CHANNEL is not set: nobody watches */
    BELLJAR_NO_PYTHON = -2,     /* no CPython 3.8 or later whose functions this process exports */
    BELLJAR_NOBODY_LISTENS = -3 /* there is no such channel, or an audit hook refused ours */
};

/* Starts the recorder in this process. Call it before Py_Initialize, so that the events of the
 * initialisation are recorded; later with the GIL held, and the record begins there. `channel` is
 * the path of a collector's FIFO; NULL: the one named by BELLJAR_CHANNEL, as `belljar watch` sets
 * it. libpython may have been loaded by dlopen only now, RTLD_LOCAL included. The record ends with
 * Py_FinalizeEx; call it again before the next Py_Initialize. With BELLJAR_STRICT=1 in the
 * environment a process that cannot be recorded exits with 125 instead of returning; so does one
 * whose channel stands there while nobody reads it, unless the settings say `drop`. */
#ifdef BELLJAR_OPTIONAL
__attribute__((weak))
#endif
int belljar_recorder_start(const char *channel);

#ifdef __cplusplus
}
#endif
#endif
