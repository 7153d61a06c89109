"""The pending page, as the collector sees it: a file that a recorded process stores frames into.

Only ever read, and with `pread`: whatever the process does to the file (it may cut it short, too),
nothing here waits, faults or trusts. `docs/protocol.md` describes the page.
"""

from __future__ import annotations

import fcntl
import os
from itertools import starmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SIZE: Final = 8192
_FIONREAD: Final = 0x541B  # termios is a library of its own, and costs the start 0.2 ms
_STATE: Final = 8
_DATA: Final = 64
_MOST: Final = 4096
_NOTHING: Final = bytes(4)


class Page:
    """Makes the file `path`. What `peek` gave comes again when the process writes its page into
    the FIFO: `cut` takes it out there. Raises `OSError` where the file cannot be made.
    """

    _open: list[int] | tuple[()] = ()

    def __init__(self, path: str) -> None:
        self.path = path
        self._taken = b""  # the part of this generation that `peek` gave, until `cut` meets it
        self._generation = -1
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        opened: list[int] = []
        self._open = opened
        opened.extend(starmap(os.open, ((path, flags, 0o600),)))  # no interrupt comes between
        self._fd = opened[0]
        os.write(self._fd, bytes(SIZE))  # no holes: a full disk must not end the process later

    def peek(self, fifo: int) -> bytes:
        """What pends and was not given before; nothing unless the FIFO is empty, because what is
        in there is older.
        """
        generation, length = self._state()
        if not 0 < length <= _MOST:
            return b""
        if fcntl.ioctl(fifo, _FIONREAD, _NOTHING) != _NOTHING:
            return b""
        data = os.pread(self._fd, length, _DATA)
        if self._state()[0] != generation:
            return b""  # written meanwhile: it is in the FIFO
        known = self._taken if generation == self._generation else b""
        if not data.startswith(known):
            known = b""  # scribbled over: the numbers will tell
        self._generation = generation
        self._taken = data
        return data[len(known) :]

    def cut(self, data: bytes) -> bytes:
        """`data` from the FIFO without what `peek` gave already. All of it lies in one write."""
        at = data.find(self._taken) if self._taken else -1
        if at < 0:
            return data
        size, self._taken = len(self._taken), b""
        return data[:at] + data[at + size :]

    @property
    def pends(self) -> bool:
        """Whether `cut` has something to look for."""
        return bool(self._taken)

    def close(self) -> None:
        """Closing again does nothing. Removing the file is the maker's."""
        if self._open:
            os.close(self._open.pop())
            self._fd = -1

    def __del__(self) -> None:
        self.close()  # an interrupt came before anybody had it

    def _state(self) -> tuple[int, int]:
        state = int.from_bytes(os.pread(self._fd, 8, _STATE), "little")
        return state >> 16, state & 0xFFFF
