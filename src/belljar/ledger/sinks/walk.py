"""The way to a receiver's file or socket, step by step, where others may own a directory of it.

Who feeds the sinks may be root, and a directory on the way may be somebody else's, who puts a
symbolic link there, or another file in the place of ours. So links are followed only where we or
root made them, and what is at the end has to be ours or root's.
"""

from __future__ import annotations

import os
import socket
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_STEP: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS: Final = 40
_EPERM, _ELOOP, _ENOTDIR = 1, 40, 20
_APPEND: Final = (
    os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    | os.O_NOCTTY
)  # fmt: skip


def append_to(path: str) -> int:
    """A descriptor that appends to the file `path`, made with mode 0600 where there is none.

    Raises `OSError`, also for a link, a file of another user's, or one with a second name.

    >>> append_to("/no/such/directory/x")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no'
    """
    parent, name = _parent(path, follow=False)
    try:
        fd = os.open(name, _APPEND, 0o600, dir_fd=parent)
    finally:
        os.close(parent)
    found = os.fstat(fd)
    why = ""
    if not _trusted(found):
        why = f"it belongs to another user (uid {found.st_uid})"
    elif stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        why = "it has a second name (a hard link)"
    if why:
        os.close(fd)
        raise OSError(_EPERM, why)
    return fd


def same(path: str, fd: int) -> bool:
    """Whether `path` still leads to what `fd` is. Raises `OSError` where no way leads there."""
    parent, name = _parent(path, follow=False)
    try:
        there = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    finally:
        os.close(parent)
    return os.path.samestat(there, os.fstat(fd))


def socket_at(path: str) -> int:
    """A descriptor (`O_PATH`) of the socket `path`.

    In a directory that everybody may write to (`/tmp`) it has to be ours or root's.
    Raises `OSError`.
    """
    parent, name = _parent(path, follow=True)
    try:
        fd = os.open(name, _STEP, dir_fd=parent)
        if os.fstat(parent).st_mode & stat.S_IWOTH and not _trusted(os.fstat(fd)):
            owner = os.fstat(fd).st_uid
            os.close(fd)
            raise OSError(_EPERM, f"it belongs to another user (uid {owner})")
    finally:
        os.close(parent)
    return fd


def connect(path: str, kind: int) -> socket.socket:
    """A socket of `kind` that is connected to the socket `path`. Raises `OSError`."""
    end = socket_at(path)
    made = socket.socket(socket.AF_UNIX, kind)
    try:
        made.connect(f"/proc/self/fd/{end}")  # what was looked at, not what the name means now
    except BaseException:
        made.close()
        raise
    finally:
        os.close(end)
    return made


def _parent(path: str, *, follow: bool) -> tuple[int, str]:
    """The directory that holds the end of `path`, and its name there; `follow`s a link there."""
    todo = _parts(path)
    here = [os.open("/", _STEP | os.O_DIRECTORY)]
    links = 0
    try:
        while todo:
            name = todo.pop()
            if name == "..":
                if len(here) > 1:
                    os.close(here.pop())
                continue
            try:
                step = os.open(name, _STEP, dir_fd=here[-1])
            except FileNotFoundError:
                if todo:
                    raise
                return here.pop(), name  # to be made
            found = os.fstat(step)
            if stat.S_ISLNK(found.st_mode):
                target = os.readlink("", dir_fd=step)
                os.close(step)
                links += 1
                if (not todo and not follow) or links > _MOST_LINKS:
                    raise OSError(_ELOOP, "it is a symbolic link")
                if not _trusted(found) or found.st_nlink > 1:
                    raise OSError(_ELOOP, f"a symbolic link of another user's leads there ({name})")
                if target.startswith("/"):
                    while len(here) > 1:
                        os.close(here.pop())
                todo += _parts(target)
                continue
            here.append(step)
            if not todo:
                os.close(here.pop())
                return here.pop(), name
            if not stat.S_ISDIR(found.st_mode):
                raise OSError(_ENOTDIR, "Not a directory")
        raise OSError(21, "Is a directory")
    finally:
        for step in here:
            os.close(step)


def _parts(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _trusted(found: os.stat_result) -> bool:
    return found.st_uid in (0, os.geteuid())
