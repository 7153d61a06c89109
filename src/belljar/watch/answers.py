"""The answers file, as the collector sees it: a process that asked sleeps on a word of it.

Only ever written, a word at a time and never through a mapping: whatever a process does to the
file (it may cut it short, too), nothing here waits, faults or trusts. `docs/protocol.md`
describes it.
"""

from __future__ import annotations

import os

from belljar._native import answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

ALLOW, DENY, KILL = 1, 2, 3
SIZE: Final = 4096 * 16
_MOST: Final = 1 << 31  # what a process may name as its slot


class Answers:
    """Makes the file `path`. Raises `OSError` where it cannot be made."""

    def __init__(self, path: str) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        os.write(self._fd, bytes(SIZE))  # no holes: a full disk must not end a process later

    def give(self, slot: int, seq: int, verdict: int) -> bool:
        """Answer event `seq`, which named `slot`; False where no process can get the answer."""
        if self._fd < 0 or not 0 <= slot < _MOST:
            return False
        return answer(self._fd, slot, seq, verdict)

    def close(self) -> None:
        """Closing again does nothing. Removing the file is the maker's."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
