"""The bytes that a guest sends over the bridge, as frames; nothing of them is believed.

Format: docs/bridge.md.
"""

from __future__ import annotations

import select
from _struct import Struct
from time import monotonic

from belljar.errors import GuestEnded, GuestProtocolError
from belljar.sandbox.guest import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Final

    #: kind, id, parent, bytes that hold the body, where in them it begins (it goes to their end)
    Frame = tuple[int, int, int, bytes, int]

HEAD: Final = Struct("<IBII")
HEAD_OP: Final = Struct("<IBIIB")
_DONTWAIT: Final = 0x40  # MSG_DONTWAIT and MSG_NOSIGNAL of recv(2), on Linux
_NOSIGNAL: Final = 0x4000
_PIECE: Final = 65536
_LARGEST_PIECE: Final = 1 << 20
_PIECES: Final = 256  # then they become one: a byte each costs forty
_KINDS: Final = frozenset((ops.REQUEST, ops.REPLY, ops.RAISED, ops.NOTE))


class BridgeLimits:
    """What a guest may send: `frame` bytes of a body, `room` bytes of memory for its value as
    estimated, `outstanding` requests without an answer, `ahead` bytes that lie unread while the
    host is writing, `notes` that need no answer beyond those that what was sent explains.

    >>> BridgeLimits(frame=1 << 20).frame
    1048576
    """

    __slots__ = ("ahead", "frame", "notes", "outstanding", "room")

    def __init__(
        self,
        frame: int = ops.FRAME,
        room: int = 256 << 20,
        outstanding: int = ops.OUTSTANDING,
        ahead: int = 2 * ops.FRAME,
        notes: int = 1024,
    ) -> None:
        self.frame = frame
        self.room = room
        self.outstanding = outstanding
        self.ahead = ahead
        self.notes = notes


class Wire:
    """One end of the socket: `read` for the one thread that reads, `write` for the one that writes.

    The socket is blocking. `close` may come from any thread, and wakes both.
    """

    __slots__ = ("_at", "_buffer", "_had", "_pieces", "_poll", "limits", "sock")

    def __init__(self, sock: socket.socket, limits: BridgeLimits) -> None:
        self.sock = sock
        self.limits = limits
        self._buffer = b""
        self._at = 0
        self._pieces: list[bytes] = []  # behind the buffer
        self._had = 0  # bytes in them
        self._poll = select.poll()  # for the one that reads
        self._poll.register(sock, select.POLLIN)

    def read(self, deadline: float | None = None) -> Frame:
        """The next frame. `deadline` is a time of `time.monotonic`.

        Raises GuestEnded, GuestProtocolError, and TimeoutError.
        """
        if not self._buffer and not self._had:  # mostly: one frame, in one piece
            if deadline is not None:
                self._await(deadline)
            self._buffer = self._receive(_PIECE, 0)
        if len(self._buffer) - self._at < 13:
            self._fill(13, deadline)
        length, kind, number, parent = HEAD.unpack_from(self._buffer, self._at)
        if length > self.limits.frame or length < 1 or kind not in _KINDS:
            raise GuestProtocolError(f"a frame of kind {kind} and {length} bytes")
        size = 13 + length
        have = len(self._buffer) - self._at
        if have < size:
            self._fill(size, deadline)
            have = len(self._buffer) - self._at
        begin = self._at + 13
        if have == size:
            frame = (kind, number, parent, self._buffer, begin)
            self._buffer, self._at = b"", 0
        else:
            frame = (kind, number, parent, self._buffer[begin : self._at + size], 0)
            self._at += size
        return frame

    @property
    def pending(self) -> bool:
        return len(self._buffer) > self._at or bool(self._had)

    def waiting(self) -> bool:
        """Whether something has come that is not read, or the end."""
        return self.pending or ready(self.sock, select.POLLIN, 0)

    def _fill(self, size: int, deadline: float | None) -> None:
        have = len(self._buffer) - self._at + self._had
        while have < size:
            wanted = min(max(size - have, _PIECE), _LARGEST_PIECE)
            if deadline is not None:
                self._await(deadline)
            have += self._take(wanted, 0)
        if self._at == len(self._buffer) and len(self._pieces) == 1:
            self._buffer = self._pieces[0]
        else:
            self._buffer = b"".join((self._buffer[self._at :], *self._pieces))
        self._at = 0
        self._pieces = []
        self._had = 0

    def _await(self, deadline: float) -> None:
        if self.sock.fileno() < 0:
            raise GuestEnded("the guest has ended")
        while not self._poll.poll(int(left_until(deadline) * 1000) + 1):
            if monotonic() >= deadline:
                raise TimeoutError("the guest did not answer in time")

    def _receive(self, wanted: int, flags: int) -> bytes:
        try:
            piece = self.sock.recv(wanted, flags)
        except BlockingIOError:
            raise
        except OSError:
            piece = b""
        if not piece:
            raise GuestEnded("the guest has ended")
        return piece

    def _take(self, wanted: int, flags: int) -> int:
        try:
            piece = self._receive(wanted, flags)
        except BlockingIOError:
            return 0
        if len(self._pieces) >= _PIECES:
            self._pieces = [b"".join(self._pieces)]
        self._pieces.append(piece)
        self._had += len(piece)
        return len(piece)

    def take_ahead(self) -> None:
        """Take what has come without waiting, for a guest that writes while it is written to.

        Raises GuestEnded; GuestProtocolError when that is too much.
        """
        self._take(_LARGEST_PIECE, _DONTWAIT)
        if len(self._buffer) - self._at + self._had > self.limits.ahead:
            raise GuestProtocolError("the guest sends without reading")

    def write_some(self, data: bytes | memoryview) -> int:
        """Send what goes without waiting; the number of bytes. Raises GuestEnded."""
        try:
            return self.sock.send(data, _DONTWAIT | _NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            raise GuestEnded("the guest has ended") from None

    def close(self) -> None:
        try:
            self.sock.shutdown(2)
        except OSError:  # the other end went first
            return


def left_until(deadline: float) -> float:
    """Seconds until a time of `time.monotonic`, or a day if that is further away."""
    return max(0.0, min(deadline - monotonic(), 86400.0))


def ready(sock: socket.socket, what: int, seconds: float | None) -> bool:
    """Whether the socket is ready for `what`, or has ended, within that time."""
    fd = sock.fileno()
    if fd < 0:
        raise GuestEnded("the guest has ended")
    poll = select.poll()
    poll.register(fd, what)
    return bool(poll.poll(None if seconds is None else max(0, int(seconds * 1000) + 1)))
