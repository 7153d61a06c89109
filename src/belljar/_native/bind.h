/* CPython that came after us. */
#ifndef BELLJAR_BIND_H
#define BELLJAR_BIND_H

/* Fills the weak references of this library that the dynamic linker left empty, from whatever
 * object of the process exports CPython's functions by now. -1: there is none. */
int bj_bind_python(void);
#endif
