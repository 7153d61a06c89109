"""A terminal of its own for what the watched program writes, so that a view that is updated and
its output do not fall into each other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import termios

from belljar.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_AT_ONCE: Final = 1 << 16
_LAST_WORDS: Final = 50  # ms; a child in the background may keep the terminal open for ever


class Borrowed:
    """While entered, standard output and standard error are a new terminal, if they were the
    terminal `stream` before; `stream` is kept as `screen`, a descriptor.

    Raises `UsageError` where `stream` is no terminal.

    >>> Borrowed(2)  # doctest: +SKIP
    """

    def __init__(self, stream: int) -> None:
        if not os.isatty(stream) or os.environ.get("TERM", "dumb") == "dumb":
            raise UsageError("--live needs a terminal on standard error")
        self.screen = stream
        self.output = -1  # what the program writes is read here
        self._slave = -1
        self._kept: dict[int, int] = {}

    def __enter__(self) -> Borrowed:
        terminal = os.fstat(self.screen).st_rdev
        place = self.screen
        self.screen = fcntl.fcntl(place, fcntl.F_DUPFD_CLOEXEC, 10)
        self.output, self._slave = os.openpty()
        modes = termios.tcgetattr(place)
        modes[1] &= ~termios.OPOST
        termios.tcsetattr(self._slave, termios.TCSANOW, modes)
        size = os.get_terminal_size(place)
        self.resize(size.columns, size.lines)
        for fd in (1, 2):
            if os.isatty(fd) and os.fstat(fd).st_rdev == terminal:
                self._kept[fd] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
                os.dup2(self._slave, fd, inheritable=True)
        os.set_blocking(self.output, False)
        return self

    def __exit__(self, *_exception: object) -> None:
        self.give_back()
        for fd in (self.output, self.screen):
            os.close(fd)

    def give_back(self) -> None:
        """Standard output and standard error are again what they were."""
        for fd, kept in self._kept.items():
            os.dup2(kept, fd, inheritable=True)
            os.close(kept)
        self._kept.clear()
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1

    def resize(self, columns: int, lines: int) -> None:
        """Say how large the program's terminal is."""
        packed = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.output, termios.TIOCSWINSZ, packed)

    def read(self, seconds: float) -> bytes:
        """What the program wrote, waiting at most so long for it."""
        if not select.select([self.output], [], [], seconds)[0]:
            return b""
        try:
            return os.read(self.output, _AT_ONCE)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:  # nobody has it open any more
                return b""
            raise

    def rest(self) -> bytes:
        """What is still to be read, once the program has ended."""
        found = bytearray()
        while more := self.read(_LAST_WORDS / 1000):
            found += more
        return bytes(found)
