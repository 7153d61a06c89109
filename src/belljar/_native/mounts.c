/* The guest's view of files: a fresh root that holds the runtime, the grants, and nothing else.
 * The keeper clones each granted tree to a detached mount while it can still see the host;
 * init attaches them after the host's root is gone (open_tree(2), move_mount(2)). */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> cannot both be included on glibc 2.36 */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);
enum { F_MS_NOSUID = 2, F_MS_NODEV = 4, F_MS_NOEXEC = 8, F_MS_REC = 16384, F_MS_PRIVATE = 1 << 18, F_MNT_DETACH = 2 };

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

enum { MAX_IDMAPS = 64 };
static struct { uid_t uid; gid_t gid; int fd; } idmaps[MAX_IDMAPS];
static size_t n_idmaps;

static int idmap_for(const struct plan *plan, const struct stat *st)
{
    for (size_t i = 0; i < n_idmaps; i++)
        if (idmaps[i].uid == st->st_uid && idmaps[i].gid == st->st_gid)
            return idmaps[i].fd;
    if (n_idmaps == MAX_IDMAPS)
        fail("idmap", E2BIG, "grants with too many different owners");
    int fd = idmap_namespace(st->st_uid, st->st_gid, plan->guest_uid);
    idmaps[n_idmaps].uid = st->st_uid;
    idmaps[n_idmaps].gid = st->st_gid;
    idmaps[n_idmaps++].fd = fd;
    return fd;
}

static int set_attributes(int fd, struct mount_attr *attr)
{
    return (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, attr, sizeof *attr);
}

static void open_tree_of(const struct plan *plan, struct view *v)
{
    v->fd = (int)syscall(SYS_open_tree, AT_FDCWD, v->text,
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
    if (v->fd < 0)
        fail("mounts", errno, v->text);
    struct stat st;
    if (fstat(v->fd, &st) < 0)
        fail("mounts", errno, v->text);
    /* checked once by the host, used here: the same object or nothing */
    if (v->ino && (st.st_dev != v->dev || st.st_ino != v->ino))
        fail("mounts", ESTALE, v->text);
    if (S_ISLNK(st.st_mode))
        fail("mounts", ELOOP, v->text);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID};
    if (!(v->flags & BIND_DEVICE))
        attr.attr_set |= MOUNT_ATTR_NODEV;
    if (!(v->flags & BIND_WRITE))
        attr.attr_set |= MOUNT_ATTR_RDONLY;
    if (!(v->flags & BIND_EXEC))
        attr.attr_set |= MOUNT_ATTR_NOEXEC;
    if (set_attributes(v->fd, &attr) < 0)
        fail("mounts", errno, v->text);
    if (plan->tier == TIER_ROOT && (v->flags & BIND_IDMAP)) {
        struct mount_attr map = {.attr_set = MOUNT_ATTR_IDMAP};
        map.userns_fd = (uint64_t)idmap_for(plan, &st);
        if (set_attributes(v->fd, &map) < 0 && !(v->flags & BIND_OPTIONAL_IDMAP))
            fail("idmap", errno, v->text);
    }
}

void open_trees(struct plan *plan)
{
    if (plan->tier == TIER_LANDLOCK)
        return;
    for (size_t i = 0; i < plan->n_views; i++)
        if (plan->views[i].kind == VIEW_BIND)
            open_tree_of(plan, &plan->views[i]);
    for (size_t i = 0; i < n_idmaps; i++)
        close(idmaps[i].fd);
}

/* Most views lie beside the one before: what was made for that is not asked for again. */
static void make_parents(const char *path, const char *before)
{
    char part[4096];
    size_t length = strlen(path), there = 0;
    if (length >= sizeof part)
        fail("mounts", ENAMETOOLONG, path);
    for (size_t i = 0; before[i] && before[i] == path[i]; i++)
        if (path[i] == '/')
            there = i;
    memcpy(part, path, length + 1);
    for (char *p = part + there + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            if (mkdir(part, 0755) < 0 && errno != EEXIST)
                fail("mounts", errno, part);
            *p = '/';
        }
}

static void make_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        if (errno == EROFS || errno == EISDIR || errno == EACCES) { /* stands in a mount already */
            struct stat st;
            if (stat(path, &st) == 0)
                return;
        }
        fail("mounts", errno, path);
    }
    size_t left = strlen(text);
    while (left) {
        ssize_t n = write(fd, text, left);
        if (n < 0)
            fail("mounts", errno, path);
        text += n;
        left -= (size_t)n;
    }
    close(fd);
}

static int put(int tree, const char *path)
{
    return (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
}

static void attach(const struct view *v, int tree)
{
    if (put(tree, v->path) < 0) {
        struct stat st;
        if (errno != ENOENT || fstat(tree, &st) < 0)
            fail("mounts", errno, v->path);
        /* made only where there is none: a parent may be the host's, writable */
        if (!S_ISDIR(st.st_mode))
            make_file(v->path, "");
        else if (mkdir(v->path, 0755) < 0)
            fail("mounts", errno, v->path);
        if (put(tree, v->path) < 0)
            fail("mounts", errno, v->path);
    }
    close(tree);
}

void enter_new_root(const struct plan *plan)
{
    if (plan->tier == TIER_LANDLOCK)
        return;
    umask(0);
    if (mount(NULL, "/", NULL, F_MS_REC | F_MS_PRIVATE, NULL) < 0)
        fail("mounts", errno, "private /");
    /* any directory that exists will do: only this namespace sees what is put over it */
    const char *somewhere = access("/tmp", F_OK) == 0 ? "/tmp" : "/usr";
    if (mount("belljar", somewhere, "tmpfs", F_MS_NOSUID | F_MS_NODEV, "size=4m,nr_inodes=8k,mode=0755") < 0)
        fail("mounts", errno, "new root");
    if (chdir(somewhere) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        fail("mounts", errno, "pivot_root");
    if (umount2(".", F_MNT_DETACH) < 0 || chdir("/") < 0)
        fail("mounts", errno, "leaving the host's root");
}

void build_view(const struct plan *plan, const int *trees)
{
    if (plan->tier == TIER_LANDLOCK)
        return;
    umask(0);
    for (size_t i = 0; i < plan->n_views; i++) {
        const struct view *v = &plan->views[i];
        make_parents(v->path, i ? plan->views[i - 1].path : "");
        switch (v->kind) {
        case VIEW_DIR:
            if (mkdir(v->path, 0755) < 0 && errno != EEXIST)
                fail("mounts", errno, v->path);
            break;
        case VIEW_FILE: make_file(v->path, v->text); break;
        case VIEW_LINK:
            if (symlink(v->text, v->path) < 0 && errno != EEXIST)
                fail("mounts", errno, v->path);
            break;
        case VIEW_TMPFS:
            if (mkdir(v->path, 0755) < 0 && errno != EEXIST && errno != EROFS)
                fail("mounts", errno, v->path);
            if (mount("belljar", v->path, "tmpfs", F_MS_NOSUID | F_MS_NODEV | F_MS_NOEXEC, v->text) < 0)
                fail("mounts", errno, v->path);
            break;
        case VIEW_BIND: attach(v, *trees++); break;
        case VIEW_OVERLAY: mount_overlay(v); break;
        }
    }
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC};
    if (syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof attr) < 0)
        fail("mounts", errno, "read-only root");
    umask(022);
}
