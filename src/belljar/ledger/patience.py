"""How long a reader waits for the lock of a book: never without a bound.

A writer has the lock for a write, which takes far less. Who has it for longer hangs, or wants
nobody to read: the owner of a ledger can keep its lock for ever, and an auditor must get on.
"""

from __future__ import annotations

import fcntl
import os
import time

from belljar.errors import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.ledger.folders import Held

#: Seconds for one wait; of who tolerates that (`Held.patience`), for all of them together.
LONGEST: Final = 10.0
_STEP: Final = (0.0005, 0.01)
_MOST_LOCKS: Final = 1 << 20


class Patience:
    """What an auditor has of it: `left` seconds in all. Then it goes on without the lock, and
    `told` says who had that: what is being written may look torn, or change.

    >>> Patience().told
    ''
    """

    __slots__ = ("left", "told")

    def __init__(self) -> None:
        self.left = LONGEST
        self.told = ""


def share(fd: int, path: str, directory: str) -> bool:
    """Take the lock of the book `path`, open at `fd`, shared; whether it was had.

    False only where `directory` is held with a `Patience`. Raises `LedgerError` that says who has
    the lock, `OSError`.
    """
    patience: Patience | None = getattr(directory, "patience", None)
    began = time.monotonic()
    most, pause = LONGEST if patience is None else patience.left, _STEP[0]
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            waited = time.monotonic() - began
            if waited >= most:
                break
            time.sleep(min(pause, most - waited))
            pause = min(_STEP[1], pause * 1.5)
        finally:
            if patience is not None:
                patience.left = max(0.0, most - (time.monotonic() - began))
    who = holder(fd) or "somebody"
    if patience is None:
        raise LedgerError(
            f"cannot read the ledger {path}: {who} has kept its lock for {LONGEST:.0f} s, and "
            "no writer does; find out what that is, or look at a copy"
        )
    patience.told = patience.told or f"{who} kept the lock of {os.path.basename(path)}"
    return False


def tolerant(directory: Held) -> Patience:
    """Have the readers of what is held here go on without the lock in the end."""
    directory.patience = Patience()
    return directory.patience


def holder(fd: int) -> str:
    """The process that locked the file open at `fd`, as /proc/locks (proc_locks(5)) has it: its
    number and name, which may be anything; empty where that does not tell.

    >>> holder(os.open("/", os.O_RDONLY))
    ''
    """
    found = os.fstat(fd)
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        with open("/proc/locks", "rb") as file:
            lines = file.read(_MOST_LOCKS).decode("ascii", "replace").split("\n")
    except OSError:
        return ""
    for line in lines:
        words = line.split()
        if len(words) > 5 and words[1:4:2] == ["FLOCK", "WRITE"] and words[5] == device:
            number = words[4]
            if not number.isdigit() or number == "0":
                return "a process of another container"
            try:
                with open(f"/proc/{number}/comm", "rb") as file:
                    name = file.read(64).decode("utf-8", "replace").strip()
            except OSError:
                return f"process {number}"
            return f"process {number} ({name})"
    return ""
