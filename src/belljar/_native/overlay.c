/* A directory whose changes are kept apart: overlayfs mounted by init, in the guest's own user and
 * mount namespace (Documentation/filesystems/overlayfs.rst; user namespaces from 5.11). `userxattr`
 * keeps its marks in user.overlay.*, which the guest cannot set: the overlay escapes such names and
 * the filter refuses the calls. The two layers leave the view again; the overlay has its own clones. */
#include "keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void take_away(const char *path)
{
    if (umount2(path, MNT_DETACH) < 0 || rmdir(path) < 0)
        fail("overlay", errno, path);
}

void mount_overlay(const struct view *v)
{
    char lower[256], data[256], options[1024];
    int n = snprintf(options, sizeof options,
                     "lowerdir=%s/lower,upperdir=%s/data/upper,workdir=%s/data/work,userxattr,index=off,xino=off",
                     v->text, v->text, v->text);
    snprintf(lower, sizeof lower, "%.200s/lower", v->text);
    snprintf(data, sizeof data, "%.200s/data", v->text);
    if (n < 0 || (size_t)n >= sizeof options)
        fail("overlay", ENAMETOOLONG, v->path);
    if (mkdir(v->path, 0755) < 0 && errno != EEXIST && errno != EROFS)
        fail("overlay", errno, v->path);
    if (mount("belljar", v->path, "overlay", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
        fail("overlay", errno, v->path);
    take_away(lower);
    take_away(data);
    if (rmdir(v->text) < 0)
        fail("overlay", errno, v->text);
    *strrchr(lower, '/') = 0; /* the base, and its parent with the last of them */
    *strrchr(lower, '/') = 0;
    (void)!rmdir(lower);
}
