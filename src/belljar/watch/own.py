"""A channel that one process alone has: where processes of a record do not trust one another.

What comes there is that process's or nobody's, whatever a frame says. The host hands it over
itself, on a socket whose maker the kernel tells the process (docs/protocol.md).
"""

from __future__ import annotations

import _socket
import fcntl
import os
from contextlib import suppress

from belljar.watch.answers import Answers
from belljar.watch.page import Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.watch.collect import Chunk, Collector

_MARK: Final = b"belljar channel\0"
_SET_PIPE_SIZE: Final = 1031
_AT_ONCE: Final = 1 << 17  # read, and what the pipe holds where the user may have so much
_MOST_AT_ONCE: Final = 1 << 20
#: No process has this number: all that comes is somebody else's.
NOBODY: Final = (1 << 32) - 1


class Own:
    """A pipe of `collector`'s, with a page where bulk events may pend, and answers, if asked for.

    `offer` it once, poll `fd`, `drain(number)` as of the collector, whose counts and findings are
    for all; `ended` is True when nobody is left who could write. Raises `OSError` where it cannot
    be made.

    >>> own = Own(collector)  # doctest: +SKIP
    """

    fd = -1

    def __init__(self, collector: Collector, *, page: bool = False, answers: bool = False) -> None:
        self._collector = collector
        self._page: Page | None = None
        self._answers: Answers | None = None
        self._given: list[int] = []
        self._rest = b""
        self.ended = False
        try:
            self.fd, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            self._given.append(theirs)
            os.set_blocking(theirs, True)
            with suppress(OSError):  # as many pipes as it likes, or bigger ones: the kernel's limit
                fcntl.fcntl(theirs, _SET_PIPE_SIZE, 8 * _AT_ONCE if page else _AT_ONCE)
            path = f"{collector.directory}/own-{self.fd}"
            if page:
                self._page = Page(path)
                self._give(path)
            if answers:
                self._answers = Answers(path)
                self._give(path)
        except BaseException:
            self.close()
            raise

    def _give(self, path: str) -> None:
        """Another opening of a file, which has no name from here on."""
        try:
            self._given.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        finally:
            os.unlink(path)

    def offer(self) -> int:
        """A descriptor to be handed to the process, and closed. Nothing of it stays here."""
        which = bytes((49, 48 + (self._page is not None), 48 + (self._answers is not None)))
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            fds = b"".join(fd.to_bytes(4, "little") for fd in self._given)
            ours.sendmsg([_MARK, which], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
            return theirs.detach()
        finally:
            ours.close()
            theirs.close()
            self._let_go()

    def _let_go(self) -> None:
        while self._given:
            os.close(self._given.pop())

    def drain(self, number: int, *, idle: bool = False) -> list[Chunk]:
        """What came from process `number`; what says that it is another's is counted."""
        collector, page = self._collector, self._page
        chunks: list[Chunk] = []
        taken = 0
        while taken < _MOST_AT_ONCE and not self.ended:
            try:
                data = os.read(self.fd, _AT_ONCE)
            except BlockingIOError:
                break
            self.ended = not data
            taken += len(data)
            if page is not None and page.pends:
                data = page.cut(data + self._more() if len(data) == _AT_ONCE else data)
            self._rest = collector.take(self._rest + data, chunks, number)
        if idle and not taken and page is not None:
            pending = page.peek(self.fd)
            if pending and not collector.knows(pending):
                collector.take(pending, chunks, number)
        return chunks

    def _more(self) -> bytes:
        """A write may lie on both sides of what was read."""
        try:
            return os.read(self.fd, _AT_ONCE)
        except BlockingIOError:
            return b""

    def answer(self, slot: int, seq: int, verdict: int) -> None:
        """As of the collector."""
        self._collector.answered += 1
        if self._answers is not None:
            self._answers.give(slot, seq, verdict)

    def close(self) -> None:
        """Closing again does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
        self._let_go()
        self.ended = True
        for file in (self._page, self._answers):
            if file is not None:
                file.close()

    def __del__(self) -> None:
        self.close()  # an interrupt came before anybody had it
