"""What a live guest writes to its standard output and error, kept for the next result.

The kernel keeps the order of bytes within each of the two pipes, not between them: two pieces that
came before the host looked have no order that it could know. The guest's own streams note theirs
(`guest/session`), and where that note fits the bytes, the pieces are laid as it says.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from belljar.sandbox.streams import Streams

_CHUNK = 1 << 16


class Output:
    """The pipes of one guest, and what was read from them since `take()`. What the policy writes
    to a file is counted, and goes there instead.

    More than `limit` bytes between two results are too much: `over` turns True and what exceeds it
    is thrown away. `listen` is called with each piece as it is read, by the thread that reads it.
    """

    def __init__(self, streams: Streams, limit: int) -> None:
        self._streams = streams
        self._limit = limit
        self.pipes = streams.pipes  # descriptor -> 1 or 2
        self.files = streams.files  # 1 or 2 -> where it goes instead
        self.pieces: list[tuple[int, bytes]] = []
        self.size = 0
        self.total = 0
        self.over = False
        self.listen: Callable[[int, bytes], None] | None = None
        self.charge: Callable[[int], None] | None = None  # told the size of each piece

    def lower(self, limit: int) -> None:
        """No more than this between two results from now on."""
        self._limit = min(self._limit, limit)

    def read(self, fd: int) -> bool:
        """Read once from one pipe; False where all its writers are gone."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return True
        if not data:
            return False
        self.total += len(data)
        if self.charge is not None:
            self.charge(len(data))
        room = self._limit - self.size
        self.size += len(data)
        if len(data) > room:
            self.over = True
            data = data[: max(0, room)]
        number = self.pipes[fd]
        if number in self._streams.files:
            self.over |= not _written(self._streams.files[number], data)
        elif data:
            self.pieces.append((number, data))
            if self.listen is not None:
                self.listen(number, data)
        return True

    def charged(self, size: int) -> None:
        """So much was written by a sandbox of the guest's own."""
        self.size += size
        if self.charge is not None:
            self.charge(size)
        self.over = self.over or self.size > self._limit

    def read_all(self) -> None:
        """Read what is there now, up to the limit."""
        for fd in self.pipes:
            before = -1
            while self.total != before and not self.over:
                before = self.total
                if not self.read(fd):
                    break

    def take(self, order: Sequence[tuple[int, int]] = ()) -> tuple[tuple[int, bytes], ...]:
        """What has come, as pieces in order: (1 or 2, bytes). `order` is what the guest says."""
        pieces, self.pieces, self.size = self.pieces, [], 0
        return tuple(_joined(_laid(pieces, order)))

    def close(self) -> None:
        """Close the pipes."""
        self._streams.close()


def _written(file: int, data: bytes) -> bool:
    """All of it; False where there is no room for it."""
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(file, left) :]
    except OSError:
        return False
    return True


def _laid(
    pieces: list[tuple[int, bytes]], order: Sequence[tuple[int, int]]
) -> list[tuple[int, bytes]]:
    """The same bytes in the guest's order, as far as that is told and fits: what it does not speak
    of (an extension that wrote to the descriptor) makes all of it void."""
    if len(order) < 2 or len(pieces) < 2:
        return pieces
    data = {n: b"".join(piece for number, piece in pieces if number == n) for n in (1, 2)}
    if any(sum(size for n, size in order if n == number) != len(data[number]) for number in (1, 2)):
        return pieces
    at = {1: 0, 2: 0}
    laid = []
    for number, size in order:
        laid.append((number, data[number][at[number] : at[number] + size]))
        at[number] += size
    return laid


def _joined(pieces: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    joined: list[tuple[int, bytes]] = []
    run: list[bytes] = []
    last = 0
    for number, data in pieces:
        if number != last and run:
            joined.append((last, b"".join(run)))
            run = []
        last = number
        run.append(data)
    if run:
        joined.append((last, b"".join(run)))
    return joined
