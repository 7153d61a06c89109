"""Trees that a guest may have written, by descriptors: no name in them leads elsewhere."""

from __future__ import annotations

import errno
import os
from itertools import islice

#: Deeper than this nothing is looked at: each level holds descriptors.
DEEPEST = 200
#: So many names are held while a directory is emptied.
_AT_ONCE = 10_000
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_directory(name: str, parent: int) -> int:
    """A descriptor of the directory `name` in `parent`, never through a link, and never of another
    mount: one of the same file system (a bind mount) has the same `st_dev`. Raises `OSError`."""
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        if mount_of(fd) != mount_of(parent):
            raise OSError(errno.EXDEV, "something else is mounted there", name)
    except BaseException:
        os.close(fd)
        raise
    return fd


def some(fd: int, most: int) -> list[str]:
    """At most so many names in the open directory: a guest may have made millions."""
    with os.scandir(fd) as entries:
        return [entry.name for entry in islice(entries, most)]


def mount_of(fd: int) -> bytes:
    """The number of the mount that the open file lies in (proc_pid_fdinfo(5)). Raises `OSError`."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
        for line in file:
            if line.startswith(b"mnt_id:"):
                return line
    raise OSError(errno.ENOSYS, "the kernel does not tell which mount it is")


def open_own(name: str, parent: int) -> tuple[int, int]:
    """A descriptor to read the file or directory `name` of ours in `parent`, and the mode to give
    back with `os.fchmod` before it is closed (-1: it was not changed).

    What a guest closed by its modes is ours all the same. Never through a link, never waits for a
    pipe. Raises `OSError`.
    """
    pinned = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        mode = os.fstat(pinned).st_mode
        folder = mode & 0o170000 == 0o040000
        if not folder and mode & 0o170000 != 0o100000:
            raise OSError(errno.EINVAL, "neither a file nor a directory", name)
        need = 0o700 if folder else 0o400
        shut = mode & need != need and os.geteuid() != 0
        if shut:
            os.chmod(f"/proc/self/fd/{pinned}", mode & 0o777 | need)
        fd = os.open(f"/proc/self/fd/{pinned}", (_DIRECTORY if folder else _FILE) & ~os.O_NOFOLLOW)
        return fd, mode & 0o777 if shut else -1
    finally:
        os.close(pinned)


def close_own(fd: int, mode: int) -> None:
    """Close what `open_own` opened."""
    try:
        if mode >= 0:
            os.fchmod(fd, mode)
    finally:
        os.close(fd)


def newer_beneath(parent: int, name: str, since: int, most: int = 20_000) -> bool:
    """Whether anything in the directory `name` in `parent`, or it, changed at `since` (nanoseconds
    since 1970) or later. True, to be safe, where it cannot be read or has more than `most` entries.
    """
    try:
        return _newer(parent, name, since, [most], 0)
    except OSError:
        return True


def _newer(parent: int, name: str, since: int, left: list[int], depth: int) -> bool:
    stat = os.stat(name, dir_fd=parent, follow_symlinks=False)
    left[0] -= 1
    if stat.st_ctime_ns >= since or left[0] < 0 or depth > DEEPEST:
        return True
    if stat.st_mode & 0o170000 != 0o040000:
        return False
    fd = open_directory(name, parent)
    try:
        return any(_newer(fd, entry, since, left, depth + 1) for entry in os.listdir(fd))
    finally:
        os.close(fd)


def remove_beneath(parent: int, name: str, *, ours: bool = False) -> None:
    """Remove `name` in `parent` and all beneath it: all of it, where it is `ours`.

    Follows no link and enters no other file system. Raises `OSError`, also where a tree that is not
    ours is deeper than `DEEPEST`.
    """
    stat = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.st_mode & 0o170000 != 0o040000:
        os.unlink(name, dir_fd=parent)
        return
    top = _open(name, parent, stat.st_dev, ours)
    try:
        while some(top, 1):  # what lay too deep was moved to the top
            _empty(top, top, stat.st_dev, 0, ours)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _open(name: str, parent: int, device: int, ours: bool) -> int:
    fd = open_own(name, parent)[0] if ours else open_directory(name, parent)
    if os.fstat(fd).st_dev != device:
        os.close(fd)
        raise OSError(errno.EXDEV, "another file system is mounted there", name)
    return fd


def _empty(fd: int, top: int, device: int, depth: int, ours: bool) -> None:
    while entries := some(fd, _AT_ONCE):
        for entry in entries:
            stat = os.stat(entry, dir_fd=fd, follow_symlinks=False)
            if stat.st_mode & 0o170000 != 0o040000:
                os.unlink(entry, dir_fd=fd)
                continue
            child = _open(entry, fd, device, ours)
            try:
                if depth < DEEPEST:
                    _empty(child, top, device, depth + 1, ours)
                elif ours:
                    os.rename(entry, f"deep-{os.urandom(8).hex()}", src_dir_fd=fd, dst_dir_fd=top)
                    continue
                else:
                    raise OSError(errno.ELOOP, f"deeper than {DEEPEST} directories", entry)
            finally:
                os.close(child)
            os.rmdir(entry, dir_fd=fd)
