"""What a writer does on opening: check the owner, and say in `ledger.use` that it is at work."""

from __future__ import annotations

import fcntl
import os
import stat
import time

from belljar.errors import LedgerError
from belljar.ledger.folders import Held, read_at
from belljar.ledger.way import reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

IN_USE: Final = "ledger.use"
STATE: Final = "clerk.state"
#: Folders of a ledger in which something is written or deleted.
FOLDERS: Final = ("books", "keys", "sinks", "tile")
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_TRIES: Final = 20


def check_owner(fd: int, folder: int, path: str) -> None:
    """Refuse to write a ledger that someone else can write, or that is somebody else's.

    It would record nothing, or do that other's work with our rights: root is no exception. `fd` is
    the open book at `path`, `folder` the directory. Raises `LedgerError`.
    """
    check_folders(folder, os.path.dirname(path))
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise LedgerError(f"cannot open the ledger {path}: not a regular file")
    _check(found, f"ledger {path}", "chmod 600 it")


def check_folders(folder: int, directory: str) -> None:
    """`check_owner` of the directory open at `folder` and of the folders in it that are written."""
    _check(os.fstat(folder), f"ledger directory {directory}", "chmod 700 it")
    for name in FOLDERS:
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        where = os.path.join(directory, name)
        if not stat.S_ISDIR(found.st_mode):
            raise LedgerError(
                f"cannot trust the ledger directory {directory}: {name} is a link or a file, not a "
                "folder of its own; find out who put it there, or use another directory"
            )
        _check(found, f"ledger directory {where}", "chmod 700 it")


def check_directory(directory: str) -> None:
    """`check_folders` of the ledger at this path. Raises `OSError` where it is none."""
    opened(directory)


def opened(directory: str, *, make: bool = False) -> Held:
    """A ledger's directory, held, and checked before anything is made there; with `make` it is
    made where there is none. Raises `OSError`, `LedgerError`."""
    there = reach(directory, make=make)
    check_folders(there.fd, there)
    return there


def _check(found: os.stat_result, what: str, remedy: str) -> None:
    me = os.geteuid()
    if found.st_uid != me:
        raise LedgerError(
            f"cannot trust the {what}: it belongs to user {found.st_uid}, and user {me} would "
            "write it; do it as that user, or use another directory"
        )
    if found.st_mode & 0o022:
        who = "anyone" if found.st_mode & 0o002 and stat.S_ISDIR(found.st_mode) else "others"
        raise LedgerError(
            f"cannot trust the {what}: {who} can write it; use another directory or {remedy}"
        )


def missing(folder: int, entry: int) -> int:
    """How many entries from `entry` on, the next to be written, the clerk said it had signed.

    More than none: the ledger's end was cut off. The clerk's word in `clerk.state` proves nothing,
    but it is cheap to ask: enough for a warning. The caller holds the ledger's lock.
    """
    try:
        said = read_at(folder, STATE, 2048).partition(b'"entries": ')[2][:20].split(b",")[0]
    except OSError:
        return 0
    return max(0, int(said) + 1 - entry) if said.isdigit() and len(said) < 19 else 0


def hold(folder: int) -> int:
    """A descriptor that says, until it is closed, that a writer is at work (a shared `flock`).

    The clerk takes that lock for a moment to find out that nobody is. A clerk that hangs there
    stops no writer: after 20 ms it is taken for granted that the clerk will see the writer's
    records. Raises `OSError`.
    """
    fd = os.open(IN_USE, _FLAGS, 0o600, dir_fd=folder)
    for _ in range(_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(0.001)
    return fd
