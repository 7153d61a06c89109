/* Files that are opened without an event that says so: by C libraries below Python (readline,
 * SQLite's ATTACH, certificates), by native code, or while the hook is not called. Told as
 * `belljar.open`; the operation proceeds afterwards. */
#ifndef BELLJAR_OPENS_H
#define BELLJAR_OPENS_H

extern __thread int bj_open_announced __attribute__((tls_model("initial-exec")));
void bj_opens_tell(int at, const char *path, int flags);

/* A function of the C library that opens a file was called, through its public name. */
static inline void bj_opens(int at, const char *path, int flags)
{
    if (bj_open_announced)
        bj_open_announced = 0;
    else
        bj_opens_tell(at, path, flags);
}

int bj_opens_flags(const char *mode); /* what fopen makes of its mode */
#endif
