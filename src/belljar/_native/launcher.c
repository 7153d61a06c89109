/* The `belljar` command: starts the environment's own interpreter isolated (-I) and without
 * `site` (-S). No variable and no .pth file of the caller's can put code into the host process,
 * and a quarter of the interpreter's start is saved. Where the interpreter does not stand
 * beside it (a user install, a system directory), the script `belljar-py` does the same slower. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char CODE[] = "import sys; sys.path.append(sys.argv.pop(1)); sys.argv[0] = 'belljar'\n"
                           "from belljar.cli import main; sys.exit(main())";

/* The one site-packages beside `bin` that holds us; none or several: false. */
static int find_package(const char *bin, char *found, size_t room)
{
    char lib[PATH_MAX + 16], path[2 * PATH_MAX];
    snprintf(lib, sizeof lib, "%s/../lib", bin);
    DIR *folder = opendir(lib);
    int count = 0;
    for (struct dirent *e; folder && (e = readdir(folder));) {
        if (strncmp(e->d_name, "python3.", 8))
            continue;
        int n = snprintf(path, sizeof path, "%s/%s/site-packages/belljar/cli/__init__.py", lib, e->d_name);
        if (n < 0 || (size_t)n >= sizeof path || access(path, R_OK))
            continue;
        path[(size_t)n - strlen("/belljar/cli/__init__.py")] = 0;
        if (strlen(path) >= room)
            continue;
        strcpy(found, path);
        count++;
    }
    if (folder)
        closedir(folder);
    return count == 1;
}

int main(int argc, char **argv)
{
    char bin[PATH_MAX], python[PATH_MAX + 16], site[2 * PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", bin, sizeof bin - 1);
    char *slash = n > 0 ? (bin[n] = 0, strrchr(bin, '/')) : NULL;
    if (!slash) {
        fputs("belljar: cannot find itself: is /proc there?\n", stderr);
        return 125;
    }
    *slash = 0;
    char **args = calloc((size_t)argc + 8, sizeof *args);
    if (!args)
        return 125;
    snprintf(python, sizeof python, "%s/python", bin);
    int isolated = access(python, X_OK) == 0 && find_package(bin, site, sizeof site), at = 0;
    if (isolated) {
        args[at++] = python;
        args[at++] = "-I";
        args[at++] = "-S";
        args[at++] = "-c";
        args[at++] = (char *)CODE;
        args[at++] = site;
    } else {
        snprintf(python, sizeof python, "%s/belljar-py", bin);
        args[at++] = python;
    }
    for (int i = 1; i < argc; i++)
        args[at++] = argv[i];
    execv(python, args);
    fprintf(stderr, "belljar: %s: %s; install belljar again\n", python, strerror(errno));
    return 125;
}
