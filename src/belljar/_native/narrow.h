/* A guest that gives up some of what it was granted (docs/narrow.md). */
#ifndef BELLJAR_NARROW_H
#define BELLJAR_NARROW_H

/* What the guest tells the keeper by connect(2) with an address of no family: which of the plan's
 * addresses, sockets, listeners and places to append at it keeps, by their bits. */
#define BELLJAR_KEEPS "belljar keeps"
enum { KEEPS_ADDRESSES = 32, KEEPS_LOCALS = 4, KEEPS_BINDS = 8, KEEPS_PLACES = 2, KEEPS_APPENDS = 8 };
struct keeps {
    unsigned short family;
    char mark[sizeof BELLJAR_KEEPS];
    unsigned char addresses[KEEPS_ADDRESSES], locals[KEEPS_LOCALS], binds[KEEPS_BINDS];
    unsigned char places[KEEPS_PLACES]; /* paths to listen at */
    unsigned char appends[KEEPS_APPENDS];
};

/* narrow.c, in the recorder. `belljar.layer` is raised by the guest's own Python (guest/narrow.py);
 * whoever raises it, it only takes away. What is to be recorded (borrowed, of `args`); Py_None where
 * this process is no guest; NULL: an exception is set, and nothing has changed. */
#define BELLJAR_LAYER "belljar.layer"
struct _object *bj_narrow(struct _object *args);
#endif
