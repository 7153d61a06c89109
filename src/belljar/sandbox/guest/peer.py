"""The guest's end of the bridge: asks the host, serves what the host asks.

Any thread may ask; whoever waits reads, and hands over what is another's. What the host asks inside
a request is served by the thread that waits for it, everything else by the main thread. Part of
the live guest's first lines; runs on any CPython from 3.8. Protocol: docs/bridge.md.
"""

import builtins
import posix
from _struct import Struct
from _thread import allocate_lock, get_ident
from collections import deque

if "FROM_HOST" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.ops import (
        DESCRIPTORS,
        FRAME,
        FROM_HOST,
        GUEST_ASKS,
        GUEST_NOTES,
        MESSAGE_OF_ERROR,
        NAME_OF_ERROR,
        NESTED,
        NOTE,
        NOTES_FROM_HOST,
        OUTSTANDING,
        RAISED,
        REPLY,
        REQUEST,
        TEXT_OF_ERROR,
    )  # fmt: skip
    from belljar.sandbox.guest.reading import loads
    from belljar.sandbox.guest.values import ROOM, Unsendable, dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Frame = tuple[int, int, int, bytes, int]  # kind, id, parent, bytes, where the body begins

_HEAD = Struct("<IBII")
_HEAD_OP = Struct("<IBIIB")
_PIECE_OF_INPUT = 65536
_LARGEST_PIECE = 1 << 20


class HostError(Exception):
    """What the host refused, or a host function raised: `type_name` and a message."""

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(message)
        self.type_name = type_name

    def __str__(self) -> str:
        return "%s: %s" % (self.type_name, self.args[0])


class _Waiter:
    __slots__ = ("blocked", "depth", "frames", "lock", "main")

    def __init__(self, depth: int, main: bool) -> None:
        self.depth = depth
        self.main = main
        self.blocked = False
        self.frames: "deque[Frame]" = deque()
        self.lock: "Any" = None  # made when it is needed

    def wake(self) -> None:
        try:
            self.lock.release()
        except RuntimeError:  # it is awake
            return


class Peer:
    """`serve(op, body, request)` answers the host's requests; what it raises becomes a RAISED
    frame by `report(error) -> (type name, message, traceback text)`.

    `refer` and `resolve` are those of the codec. `receive(n)` reads at most n bytes.
    """

    def __init__(
        self,
        fd: int,
        serve: "Callable[[str, Any, Any], Any]",
        report: "Callable[[BaseException], tuple[str, str, str]] | None" = None,
        refer: "Any" = None,
        resolve: "Any" = None,
        receive: "Callable[[int], bytes] | None" = None,
    ) -> None:
        self._fd = fd
        self._serve = serve
        self._report = report or _report
        self._refer = refer
        self._resolve = resolve
        self._receive = receive or (lambda n: posix.read(fd, n))
        self._parts: "list[bytes]" = []
        self._buffer = b""
        self._at = 0
        self._last = 0
        self._waiters: "dict[int, _Waiter]" = {}
        self._given_up: "set[int]" = set()
        self._serving: "dict[int, list[tuple[int, int]]]" = {}
        self._inbox: "deque[Frame]" = deque()  # for the main thread
        self._main = 0
        self._mains: "list[_Waiter]" = []
        self._outside = 0  # requests of ours outside of any of the host's
        self._queue: "deque[Any]" = deque()  # of threads that wait until there are fewer
        self._lost = ""
        self.received: "deque[int]" = deque()  # descriptors, as `receive` finds them
        self.descriptors: "dict[int, int]" = {}  # number -> descriptor
        self.longest, self.room = FRAME, ROOM  # what the host takes, if it told so
        self._fresh_locks()
        posix.set_inheritable(fd, False)
        posix.register_at_fork(after_in_child=self._forked)

    def _fresh_locks(self) -> None:
        self._sending = allocate_lock()
        self._reading = allocate_lock()

    def _forked(self) -> None:
        if not self._lost:
            self._lost = "a forked process has no bridge to the host"
            self._fresh_locks()
            posix.close(self._fd)

    # --- asking --------------------------------------------------------------------------

    def request(self, op: str, body: object) -> "Any":
        """What the host answers. Raises what the host raised, Unsendable, ConnectionError when
        the bridge is gone, and RecursionError from 32 requests in one another."""
        number = GUEST_ASKS[op]
        data = self._fitting(body)
        thread = get_ident()
        stack = self._serving.get(thread)
        parent, depth = stack[-1] if stack else (0, 0)
        if depth >= NESTED:
            raise RecursionError("host and guest call one another %d deep" % NESTED)
        if not parent:
            self._queue_up()
        main = thread == self._main
        waiter = _Waiter(depth + 1, main)
        number_of = 0
        if main:
            self._mains.append(waiter)
        try:
            with self._sending:
                if self._lost:
                    raise ConnectionError(self._lost)
                number_of = self._last = self._last % 0xFFFFFFFF + 1
                self._waiters[number_of] = waiter
                self._write(_HEAD_OP.pack(1 + len(data), REQUEST, number_of, parent, number) + data)
            while True:
                kind, _, _, data, at = frame = self._wait(waiter)
                if kind == REPLY:
                    del self._waiters[number_of]
                    return loads(data, self._resolve, 1 << 62, at)
                if kind == RAISED:
                    del self._waiters[number_of]
                    name, message, _ = loads(data, None, 1 << 62, at)
                    raise _error_here(name, message)
                self._answer(frame, depth + 1)
        finally:
            if main:
                self._mains.remove(waiter)
            if self._waiters.pop(number_of, None):  # an exception of a signal's
                self._given_up.add(number_of)
                for frame in waiter.frames:
                    self._refuse(frame)
            if not parent:
                self._outside -= 1
                if self._queue:
                    self._queue.popleft().release()
            self._hand_over()

    def note(self, op: str, body: object) -> None:
        """Tell the host; there is no answer."""
        data = self._fitting(body)
        with self._sending:
            if not self._lost:
                self._write(_HEAD_OP.pack(1 + len(data), NOTE, 0, 0, GUEST_NOTES[op]) + data)

    def _fitting(self, value: object) -> bytes:
        data = dumps(value, self._refer, self.room)
        if len(data) >= self.longest:
            raise Unsendable("a value of %d bytes is longer than a frame" % len(data))
        return data

    def loop(self) -> None:
        """Serve the host in this thread until it goes. In a forked child whose part of the program
        is done it ends like a program."""
        self._main = get_ident()
        waiter = _Waiter(0, True)
        self._mains.append(waiter)
        while True:
            try:
                frame = self._wait(waiter)
            except ConnectionError:
                return
            self._answer(frame, 0)
            if self._lost:
                raise SystemExit(0)

    def _queue_up(self) -> None:
        while self._outside >= OUTSTANDING:
            lock = allocate_lock()
            lock.acquire()
            self._queue.append(lock)
            lock.acquire()
        self._outside += 1

    # --- serving -------------------------------------------------------------------------

    def _answer(self, frame: "Frame", depth: int) -> None:
        kind, number, parent, data, at = frame
        asked = FROM_HOST.get(data[at]) if kind == REQUEST else NOTES_FROM_HOST.get(data[at])
        if asked is None:
            raise ConnectionError("the host speaks another protocol")
        if kind == NOTE:
            self._serve(asked[0], loads(data, self._resolve, 1 << 62, at + 1), self.request)
            return
        stack = self._serving.setdefault(get_ident(), [])
        stack.append((number, (depth if parent else 0) + 1))
        try:
            try:
                body = loads(data, self._resolve, 1 << 62, at + 1)
                answer, how = self._fitting(self._serve(asked[0], body, self.request)), REPLY
            finally:
                stack.pop()
        except BaseException as error:
            if self._lost:
                raise  # a forked child, or the host is gone
            answer, how = dumps(_cut_report(self._report(error))), RAISED
        with self._sending:
            if not self._lost:
                self._write(_HEAD.pack(len(answer), how, number, 0) + answer)

    def _refuse(self, frame: "Frame") -> None:
        """A request inside one that was given up."""
        if frame[0] == REQUEST:
            answer = dumps(("RuntimeError", "the guest no longer waits", ""))
            with self._sending:
                if not self._lost:
                    self._write(_HEAD.pack(len(answer), RAISED, frame[1], 0) + answer)

    # --- frames --------------------------------------------------------------------------

    def _wait(self, waiter: "_Waiter") -> "Frame":
        """The next frame for `waiter`."""
        while True:
            if waiter.frames:
                return waiter.frames.popleft()
            if waiter.main and self._inbox:
                return self._inbox.popleft()
            if self._lost:
                raise ConnectionError(self._lost)
            if self._reading.acquire(False):
                try:
                    if not waiter.frames and not (waiter.main and self._inbox):
                        self._route(self._read())
                finally:
                    waiter.blocked = False
                    self._reading.release()
                    if len(self._waiters) > 1 or self._mains:
                        self._hand_over()
            elif not waiter.blocked:
                if waiter.lock is None:
                    waiter.lock = allocate_lock()
                    waiter.lock.acquire()
                waiter.blocked = True  # and try once more: whoever reads may just have left
            else:
                try:
                    waiter.lock.acquire()
                finally:
                    waiter.blocked = False

    def _hand_over(self) -> None:
        """Wake one thread that could read."""
        for waiter in [*self._mains[-1:], *list(self._waiters.values())]:
            if waiter.blocked:
                waiter.wake()
                return

    def _route(self, frame: "Frame") -> None:
        kind, number, parent, data, at = frame
        if kind in (REPLY, RAISED):
            owner = self._waiters.get(number)
            if owner is None:
                self._given_up.discard(number)
                return
        elif kind == DESCRIPTORS:
            for n in loads(data, None, 1 << 62, at):
                self.descriptors[n] = self.received.popleft()
            return
        elif parent:
            owner = self._waiters.get(parent)
            if owner is None:
                self._refuse(frame)
                return
        else:
            self._inbox.append(frame)
            if self._mains and self._mains[-1].blocked:
                self._mains[-1].wake()
            return
        owner.frames.append(frame)
        if owner.blocked:
            owner.wake()

    def _read(self) -> "Frame":
        if len(self._buffer) - self._at < _HEAD.size:
            self._fill(_HEAD.size)
        length, kind, number, parent = _HEAD.unpack_from(self._buffer, self._at)
        size = _HEAD.size + length
        if len(self._buffer) - self._at < size:
            self._fill(size)
        begin = self._at + _HEAD.size
        if len(self._buffer) - self._at == size:
            frame = (kind, number, parent, self._buffer, begin)
            self._buffer, self._at = b"", 0
        else:
            frame = (kind, number, parent, self._buffer[begin : self._at + size], 0)
            self._at += size
        return frame

    def _fill(self, size: int) -> None:
        """Read until there are `size` bytes; none is lost when a signal's handler raises."""
        parts = self._parts
        while True:
            have = len(self._buffer) - self._at + sum(map(len, parts))
            if have >= size:
                break
            wanted = min(max(size - have, _PIECE_OF_INPUT), _LARGEST_PIECE)
            # read and kept within one call: a handler runs between calls
            parts.extend(map(self._receive, (wanted,)))
            if not parts[-1]:
                self._lost = "the host is gone"
                raise ConnectionError(self._lost)
        self._buffer, self._at = b"".join([self._buffer[self._at :], *parts]), 0
        parts.clear()

    def _write(self, data: bytes) -> None:
        sent: "list[int]" = []
        raised: "BaseException | None" = None
        while True:
            try:
                while True:
                    # written and counted within one call: a handler runs between calls
                    piece = memoryview(data)[sum(sent) :][:_LARGEST_PIECE] if sent else data
                    sent.extend(map(posix.write, (self._fd,), (piece,)))
                    if sum(sent) == len(data):
                        break
                break
            except OSError:
                self._lost = "the host is gone"
                raise ConnectionError(self._lost) from None
            except BaseException as error:  # of a signal's handler
                if not sent:
                    raise
                raised = error  # half a frame would end the guest
        if raised is not None:
            raise raised


def _report(error: BaseException) -> "tuple[str, str, str]":
    try:
        message = str(error)
    except BaseException:
        message = ""
    return type(error).__name__, message, ""


def _cut_report(told: "tuple[str, str, str]") -> "tuple[str, str, str]":
    name, message, text = told
    return name[:NAME_OF_ERROR], message[:MESSAGE_OF_ERROR], text[-TEXT_OF_ERROR:]


def _error_here(name: str, message: str) -> Exception:
    """The built-in exception of that name, else a HostError."""
    kind = getattr(builtins, name, None)
    if type(kind) is type and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:  # it wants more, such as UnicodeError
            pass
    return HostError(name, message)
