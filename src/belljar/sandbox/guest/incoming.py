"""What the host sends, as frames, and the threads that wait for them.

A signal's handler of the guest's own may raise between any two calls of the main thread. So every
step here is either one call or one assignment, and what was done can be told from what is there.
Part of the live guest's first lines; runs on any CPython from 3.8.
"""

import posix
from _struct import Struct
from _thread import allocate_lock
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HEAD = Struct("<IBII")
_PIECE_OF_INPUT = 65536
_LARGEST_PIECE = 1 << 20


class _Frame:
    __slots__ = ("at", "data", "kind", "number", "parent", "sent", "taken")

    def __init__(self, kind: int, number: int, parent: int, data: bytes, at: int) -> None:
        self.kind = kind
        self.number = number
        self.parent = parent
        self.data = data
        self.at = at  # where in `data` the body begins
        self.taken = False  # by the thread that deals with it
        self.sent: "list[int]" = []  # how much of its answer: empty as long as it has none


class _Waiter:
    """A request of the guest's, and the frames for the thread that waits for its answer."""

    __slots__ = ("blocked", "frames", "lock", "main", "number")

    def __init__(self, main: bool) -> None:
        self.main = main
        self.number = 0
        self.blocked = False
        self.frames: "deque[_Frame]" = deque()
        self.lock: "Any" = None  # made when it is needed

    def block(self) -> None:
        """Wait for `wake`, unless that has come already."""
        try:
            self.lock.acquire()
        finally:
            self.blocked = False

    def ready_to_block(self) -> None:
        if self.lock is None:
            lock = allocate_lock()
            lock.acquire()
            self.lock = lock
        self.blocked = True

    def wake(self) -> None:
        try:
            self.lock.release()
        except RuntimeError:  # it is awake
            return


def _first(frames: "deque[_Frame]") -> "_Frame | None":
    """The first frame that nobody has taken; those before it are done, or being dealt with."""
    while frames and frames[0].taken and (frames[0].sent or frames[0].kind != 1):
        frames.popleft()
    for frame in frames:
        if not frame.taken:
            return frame
    return None


class _Input:
    """Frames from the bytes that `receive(n)` gives; for the one thread that reads."""

    def __init__(self) -> None:
        #: bytes, how many of them are read, the frame that was read last and is not delivered yet,
        #: pieces that follow: replaced as a whole
        self._state: "tuple[bytes, int, _Frame | None, list[bytes]]" = (b"", 0, None, [])

    def next(self, receive: "Callable[[int], bytes]") -> "_Frame":
        """The next frame; the same again until `delivered`. Raises EOFError."""
        data, at, frame, _ = self._state
        if frame is not None:
            return frame
        if len(data) - at < 13:
            data, at = self._more(13, receive)
        length, kind, number, parent = _HEAD.unpack_from(data, at)
        size = 13 + length
        if len(data) - at < size:
            data, at = self._more(size, receive)
        if len(data) - at == size:
            frame = _Frame(kind, number, parent, data, at + 13)
            self._state = (b"", 0, frame, self._state[3])
        else:
            frame = _Frame(kind, number, parent, data[at + 13 : at + size], 0)
            self._state = (data, at + size, frame, self._state[3])
        return frame

    def delivered(self) -> None:
        data, at, _, pieces = self._state
        self._state = (data, at, None, pieces)

    def _more(self, size: int, receive: "Callable[[int], bytes]") -> "tuple[bytes, int]":
        data, at, _, pieces = self._state
        have = len(data) - at
        for piece in pieces:  # of one that was interrupted
            have += len(piece)
        while have < size:
            wanted = min(max(size - have, _PIECE_OF_INPUT), _LARGEST_PIECE)
            try:
                pieces.extend(map(receive, (wanted,)))  # received and kept within one call
            except OSError as error:
                if _of_a_handler(error):
                    raise
                raise EOFError from None
            if not pieces[-1]:
                raise EOFError
            have += len(pieces[-1])
        whole = (
            pieces[0] if at == len(data) and len(pieces) == 1 else b"".join([data[at:], *pieces])
        )
        self._state = (whole, 0, None, [])
        return whole, 0


def _of_a_handler(error: BaseException) -> bool:
    """Whether a signal's handler raised it, such as TimeoutError, and not the socket."""
    return type(error) is not OSError and not isinstance(error, ConnectionError)


def _write_whole(fd: int, data: bytes, sent: "list[int]") -> None:
    """Write `data`; the sizes of what went are added to `sent`. Where a handler raises, nothing of
    it has gone, or all. Raises EOFError."""
    raised: "BaseException | None" = None
    while True:
        try:
            while True:
                # written and counted within one call
                piece = memoryview(data)[sum(sent) :][:_LARGEST_PIECE] if sent else data
                sent.extend(map(posix.write, (fd,), (piece,)))
                if sum(sent) == len(data):
                    break
            break
        except BaseException as error:
            if not _of_a_handler(error):
                raise EOFError from None
            if not sent:
                raise
            raised = error  # half a frame would end the guest
    if raised is not None:
        raise raised
