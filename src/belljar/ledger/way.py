"""The way to a directory of a ledger that is written: each step from where the last one led.

A directory on the way may be somebody else's, who can put a link, or another directory, into the
place of what was looked at. So nothing is looked at by its path and opened by it again: each step
is opened without following a link, and a link is followed only where root or we ourselves made it.
"""

from __future__ import annotations

import os
import stat

from belljar.errors import LedgerError
from belljar.ledger.folders import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_STEP: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_TOP: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_LINKS: Final = 40
_ELOOP: Final = 40


def reach(directory: str, *, make: bool = False) -> Held:
    """`directory`, held; itself where it is already. With `make`, what is missing is made (0700).

    Whose it is, nobody has looked at yet. Raises `OSError`, and `LedgerError` where a link that is
    somebody else's leads there: where to is his choice, and we would write there.

    >>> reach("/")
    '/'
    """
    if isinstance(directory, Held):
        return directory
    here = [os.open("/", _STEP)]
    try:
        _walk(here, directory, make)
        return Held(directory, os.open(".", _TOP, dir_fd=here[-1]))
    except OSError as error:
        raise OSError(error.errno, error.strerror, directory) from error
    finally:
        for step in here:
            os.close(step)


def _walk(here: list[int], directory: str, make: bool) -> None:
    """Put a descriptor of each directory on the way behind those in `here`."""
    todo, links = _parts(os.path.abspath(directory)), 0
    while todo:
        name = todo.pop()
        if name == "..":  # of a link
            if len(here) > 1:
                os.close(here.pop())
            continue
        step = _opened(name, here[-1], make, 0o777 if todo else 0o700)
        here.append(step)
        found = os.fstat(step)
        if not stat.S_ISLNK(found.st_mode):
            continue
        if found.st_uid not in (0, os.geteuid()):
            raise LedgerError(
                f"cannot trust the ledger directory {directory}: {_named(step)} is a link that "
                f"user {found.st_uid} made; name the directory itself"
            )
        links += 1
        if links > _MOST_LINKS:
            raise OSError(_ELOOP, os.strerror(_ELOOP))
        target = os.readlink("", dir_fd=step)
        os.close(here.pop())
        while target.startswith("/") and len(here) > 1:
            os.close(here.pop())
        todo += _parts(target)


def _opened(name: str, parent: int, make: bool, mode: int) -> int:
    try:
        return os.open(name, _STEP, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:  # another writer was first: what it is, the caller sees
        return os.open(name, _STEP, dir_fd=parent)
    return os.open(name, _STEP, dir_fd=parent)


def _parts(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _named(step: int) -> str:
    """What the kernel calls what is open at `step`; for a message."""
    try:
        return os.readlink(f"/proc/self/fd/{step}")
    except OSError:
        return "a part of it"
