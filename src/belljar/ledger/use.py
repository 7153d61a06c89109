"""What a writer does on opening: check the owner, and say in `ledger.use` that it is at work."""

from __future__ import annotations

import fcntl
import os
import stat
import time

from belljar.errors import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

IN_USE: Final = "ledger.use"
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_TRIES: Final = 20


def check_owner(fd: int, folder: int, path: str) -> None:
    """Refuse a ledger that someone else can write: it would record nothing. `LedgerError`."""
    mine = (0, os.geteuid())
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise LedgerError(f"cannot open the ledger {path}: not a regular file")
    if (found.st_uid not in mine and mine[1] != 0) or found.st_mode & 0o022:
        raise LedgerError(
            f"cannot trust the ledger {path}: others can write it; "
            "use another directory or chmod 600 it"
        )
    mode = os.fstat(folder).st_mode
    if mode & 0o002 and not mode & stat.S_ISVTX:
        raise LedgerError(
            f"cannot trust the ledger directory {os.path.dirname(path)}: anyone can write it; "
            "use another or chmod 700 it"
        )


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
