/* OpenSSL mixes its PID in and draws anew when it sees another one, which a guest of a template
 * has, and a branch. Every copy that is loaded is given new randomness all the same. */
#ifndef _GNU_SOURCE /* the recorder is built without it on the command line */
#define _GNU_SOURCE 1
#endif
#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/random.h>

#include "branch.h"

static int one_library(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    unsigned char fresh[48];
    if (!info->dlpi_name || !strstr(info->dlpi_name, "libcrypto"))
        return 0;
    void *library = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
    void (*seed)(const void *, int) = NULL;
    if (library)
        *(void **)&seed = dlsym(library, "RAND_seed");
    if (seed && getrandom(fresh, sizeof fresh, 0) == (ssize_t)sizeof fresh)
        seed(fresh, sizeof fresh);
    explicit_bzero(fresh, sizeof fresh);
    if (library)
        dlclose(library);
    return 0;
}

void reseed_openssl(void) { dl_iterate_phdr(one_library, NULL); }
