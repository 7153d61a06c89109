"""The host's end of the bridge: asks the guest, and serves what it may ask.

Any thread may ask; whoever waits reads, and hands over what is another's. What the guest asks
inside a request is served by the thread that waits for that, everything else by whoever reads.
"""

from __future__ import annotations

import itertools
import os
import select
from _thread import allocate_lock, get_ident
from collections import deque

from belljar.errors import (
    BelljarError,
    GuestEnded,
    GuestError,
    GuestProtocolError,
    LedgerError,
)  # fmt: skip
from belljar.sandbox.bridge.wire import HEAD, HEAD_OP, BridgeLimits, Wire, _left, _poll
from belljar.sandbox.guest.ops import (
    ANY,
    DESCRIPTORS,
    FROM_GUEST,
    HOST_ASKS,
    HOST_NOTES,
    INSIDE,
    MESSAGE_OF_ERROR,
    NAME_OF_ERROR,
    NESTED,
    NOTE,
    NOTES_FROM_GUEST,
    RAISED,
    REPLY,
    REQUEST,
    TEXT_OF_ERROR,
)  # fmt: skip
from belljar.sandbox.guest.values import Malformed, Unsendable, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Any

    from belljar.sandbox.bridge.wire import Frame


class RaisedForGuest(Exception):
    """What the guest is to see where a host function raised: a type's name and a message.

    Of any other exception it sees the type's name alone: messages hold paths.
    """

    def __init__(self, type_name: str, message: str = "") -> None:
        super().__init__(f"{type_name}: {message}")
        self.type_name = type_name
        self.message = message


class _Waiter:
    __slots__ = ("blocked", "depth", "frames", "inside", "lock")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.inside = False  # a request of the guest's inside this one has no answer yet
        self.blocked = False
        self.frames: deque[Frame] = deque()
        self.lock: Any = None

    def wake(self) -> None:
        try:
            self.lock.release()
        except RuntimeError:  # it is awake
            return


class Peer:
    """`serve(op, body, request)` answers the guest's requests and notes.

    `sock` is a blocking stream socket, the host's from now on. After GuestProtocolError,
    GuestEnded, a deadline or an interruption nothing more can be asked: `over` says why.

    >>> peer = Peer(sock, serve)                                        # doctest: +SKIP
    >>> peer.request("run", ("1+1", "<run>", "exec"), time.monotonic() + 5)   # doctest: +SKIP
    """

    def __init__(
        self,
        sock: socket.socket,
        serve: Callable[[str, Any, Callable[..., Any]], object],
        limits: BridgeLimits | None = None,
        refer: Any = None,
        resolve: Any = None,
    ) -> None:
        self.limits = limits or BridgeLimits()
        self.over: GuestEnded | GuestProtocolError | LedgerError | None = None
        self._wire = Wire(sock, self.limits)
        self._serve = serve
        self._refer = refer
        self._resolve = resolve
        self._pid = os.getpid()
        self._ids = itertools.count(1)
        self._waiters: dict[int, _Waiter] = {}
        self._serving: dict[int, list[tuple[int, int]]] = {}
        self._asked: set[int] = set()  # the guest's, without an answer
        self._outside = 0  # of these, outside of any of ours
        self._last = 0
        self._notes = self.limits.notes
        self._descriptors = 0
        self._sending = allocate_lock()
        self._reading = allocate_lock()
        self._counting = allocate_lock()

    @property
    def pending(self) -> bool:
        """Whether frames have been received that nobody has dealt with: see `serve_waiting`."""
        return self._wire.pending

    @property
    def busy(self) -> bool:
        """Whether a thread waits for the guest, and so reads what it sends."""
        return bool(self._waiters)

    # --- asking --------------------------------------------------------------------------

    def request(self, op: str, body: object, deadline: float | None = None) -> Any:
        """What the guest answers; `deadline` is a time of `time.monotonic`.

        Raises GuestError for what the guest raised, GuestEnded, GuestProtocolError, TimeoutError
        (the bridge is closed), Unsendable, RecursionError from 32 requests in one another.
        """
        data = dumps(body, self._refer)
        thread = get_ident()
        stack = self._serving.get(thread)
        parent, depth = stack[-1] if stack else (0, 0)
        if depth >= NESTED:
            raise RecursionError(f"host and guest call one another {NESTED} deep")
        if len(data) > self.limits.frame:
            raise ValueError(f"a value of {len(data)} bytes is longer than a frame")
        number = next(self._ids) & 0xFFFFFFFF
        waiter = self._waiters[number] = _Waiter(depth + 1)
        try:
            head = HEAD_OP.pack(1 + len(data), REQUEST, number, parent, HOST_ASKS[op])
            self._send(head + data, deadline)
            while True:
                frame = self._wait(waiter, deadline)
                kind = frame[0]
                if kind == REPLY:
                    return self._value(frame[3], frame[4])
                if kind == RAISED:
                    raise self._error(frame[3], frame[4])
                self._answer(frame, deadline)
        except GuestEnded:
            raise self._why() from None
        finally:
            del self._waiters[number]
            if self._waiters:
                self._hand_over()

    def inside(self) -> tuple[int, int] | None:
        """The guest's request that this thread serves, for another one that goes on with it."""
        stack = self._serving.get(get_ident())
        return stack[-1] if stack else None

    def request_inside(
        self, inside: tuple[int, int] | None, op: str, body: object, deadline: float | None = None
    ) -> Any:
        """`request` in a thread that does a part of what another one serves (its `inside()`)."""
        thread = get_ident()
        if inside is None or thread in self._serving:
            return self.request(op, body, deadline)
        self._serving[thread] = [inside]
        try:
            return self.request(op, body, deadline)
        finally:
            del self._serving[thread]

    def note(self, op: str, body: object) -> None:
        """Tell the guest; there is no answer. Raises GuestEnded and GuestProtocolError."""
        data = dumps(body, self._refer)
        self._send(HEAD_OP.pack(1 + len(data), NOTE, 0, 0, HOST_NOTES[op]) + data, None)

    def send_descriptors(self, descriptors: Sequence[int]) -> list[int]:
        """Give the guest copies of open descriptors: their numbers in its `Peer.descriptors`.

        At most 32 at once; its peer must have been made with a `receive` that takes them.
        """
        import array

        with self._counting:
            first = self._descriptors + 1
            self._descriptors += len(descriptors)
        numbers = list(range(first, first + len(descriptors)))
        data = dumps(numbers)
        frame = HEAD.pack(len(data), DESCRIPTORS, 0, 0) + data
        self._send(frame, None, [(1, 1, array.array("i", descriptors))])  # SOL_SOCKET, SCM_RIGHTS
        return numbers

    def serve_waiting(self, deadline: float | None = None) -> int:
        """Serve what the guest's threads have sent while nobody waits for it; how many frames.

        Returns at once when nothing has come, or another thread reads. Raises as `request`.
        """
        served = 0
        waiter = _Waiter(0)
        while not self._waiters and self.over is None:
            if not self._reading.acquire(False):
                break
            try:
                frame = self._route(waiter, deadline) if self._wire.waiting() else None
            except BaseException as error:
                self._end(error)
                raise
            finally:
                self._reading.release()
                if self._waiters:
                    self._hand_over()
            if frame is None:
                break
            self._answer(frame, deadline)
            served += 1
        return served

    def close(self) -> None:
        """Close the bridge from any thread; those that wait get GuestEnded."""
        if self.over is None:
            self.over = GuestEnded("the sandbox is closed")
        self._wire.close()
        for waiter in list(self._waiters.values()):
            if waiter.blocked:
                waiter.wake()

    # --- serving -------------------------------------------------------------------------

    def _answer(self, frame: Frame, deadline: float | None) -> None:
        kind, number, parent, data, at = frame
        table = FROM_GUEST if kind == REQUEST else NOTES_FROM_GUEST
        op = table[data[at]][0]
        body = self._value(data, at + 1)
        if kind == NOTE:
            try:
                self._serve(op, body, self.request)
            except BaseException as error:
                self._end(error)
                raise
            return
        waiter = self._waiters.get(parent)
        stack = self._serving.setdefault(get_ident(), [])
        stack.append((number, (waiter.depth if waiter else 0) + 1))
        try:
            try:
                answer, how = dumps(self._serve(op, body, self.request), self._refer), REPLY
                if len(answer) > self.limits.frame:
                    raise RaisedForGuest("ValueError", "the answer is longer than a frame")
            finally:
                stack.pop()
                if not stack:
                    del self._serving[get_ident()]
        except (GuestProtocolError, LedgerError) as error:  # not a host function's: Objects tells
            self._end(error)
            raise
        except Exception as error:  # noqa: BLE001 - whatever a host's function raises
            if self.over is not None:
                raise self._why() from None
            answer, how = dumps(_told(error)), RAISED
        except BaseException as error:
            self._end(error)
            raise
        with self._counting:
            self._asked.discard(number)
            if waiter is not None:
                waiter.inside = False
            else:
                self._outside -= 1
        self._send(HEAD.pack(len(answer), how, number, 0) + answer, deadline)

    def _value(self, data: bytes, at: int) -> Any:
        try:
            return loads(data, self._resolve, self.limits.room, at)
        except Malformed as error:
            wrong = GuestProtocolError(f"from the guest: {error}")
        self._end(wrong)
        raise wrong

    def _error(self, data: bytes, at: int) -> GuestError:
        told = self._value(data, at)
        most = (NAME_OF_ERROR, MESSAGE_OF_ERROR, TEXT_OF_ERROR)
        if (
            type(told) is tuple
            and len(told) == 3
            and all(type(one) is str and len(one) <= n for one, n in zip(told, most, strict=True))
        ):
            return GuestError(*told)
        wrong = GuestProtocolError("from the guest: an exception that is none")
        self._end(wrong)
        raise wrong

    # --- frames --------------------------------------------------------------------------

    def _wait(self, waiter: _Waiter, deadline: float | None) -> Frame:
        """The next frame for this thread to deal with."""
        while True:
            if waiter.frames:
                return waiter.frames.popleft()
            if self.over is not None:
                raise self._why()
            try:
                if self._reading.acquire(False):
                    try:
                        frame = None if waiter.frames else self._route(waiter, deadline)
                    finally:
                        waiter.blocked = False
                        self._reading.release()
                        if len(self._waiters) > 1:
                            self._hand_over()
                    if frame is not None:
                        return frame
                elif not waiter.blocked:
                    if waiter.lock is None:
                        waiter.lock = allocate_lock()
                        waiter.lock.acquire()
                    waiter.blocked = True  # and try once more: whoever reads may just have left
                else:
                    left = -1 if deadline is None else _left(deadline)
                    awake = waiter.lock.acquire(True, left)
                    waiter.blocked = False
                    if not awake:
                        raise TimeoutError("the guest did not answer in time")
            except BaseException as error:
                self._end(error)
                raise

    def _hand_over(self) -> None:
        """Wake one thread that could read."""
        for waiter in list(self._waiters.values()):
            if waiter.blocked:
                waiter.wake()
                return

    def _route(self, mine: _Waiter, deadline: float | None) -> Frame | None:
        """Read one frame: this thread's to deal with, or handed over (None)."""
        frame = self._wire.read(deadline)
        kind, number, parent, data, at = frame
        if kind in (REPLY, RAISED):
            waiter = self._waiters.get(number)
            if waiter is None or waiter.inside or parent or waiter.depth < 0:
                raise GuestProtocolError("an answer to what was not asked, or within its call")
            waiter.depth = -1  # once
        elif kind == NOTE:
            self._notes -= 1
            if number or parent or data[at] not in NOTES_FROM_GUEST or self._notes < 0:
                raise GuestProtocolError("a note that may not be, or a flood of them")
            return frame
        else:
            waiter = self._check(number, parent, data[at])
            if waiter is None:
                return frame
        if waiter is mine:
            return frame
        waiter.frames.append(frame)
        if waiter.blocked:
            waiter.wake()
        return None

    def _check(self, number: int, parent: int, op: int) -> _Waiter | None:
        """The request of ours that one of the guest's is inside, by the phase table."""
        asked = FROM_GUEST.get(op)
        if asked is None or (asked[1] != ANY and (asked[1] == INSIDE) != bool(parent)):
            raise GuestProtocolError(f"operation {op} where it may not be")
        if not 0 < (number - self._last) % (1 << 32) < 1 << 31 or not number:
            raise GuestProtocolError("a request with a number that was used")
        waiter = None
        with self._counting:
            if parent:
                waiter = self._waiters.get(parent)
                if waiter is None or waiter.inside or not 0 <= waiter.depth < NESTED:
                    raise GuestProtocolError("a request inside one that does not wait for it")
                waiter.inside = True
            else:
                self._outside += 1
                if self._outside > self.limits.outstanding:
                    raise GuestProtocolError("too many requests without an answer")
            self._last = number
            self._asked.add(number)
        return waiter

    def _send(self, frame: bytes, deadline: float | None, ancillary: Any = None) -> None:
        if self.over is not None:
            raise self._why()
        if os.getpid() != self._pid:
            raise GuestEnded("a forked process has no part in its parent's sandbox")
        with self._sending:
            try:
                if ancillary is not None:
                    sent = self._wire.sock.sendmsg([frame], ancillary)
                else:
                    sent = self._wire.write_some(frame)
                if sent != len(frame):
                    self._send_rest(memoryview(frame)[sent:], deadline)
            except BaseException as error:
                self._end(error)
                raise
            self._notes = min(self._notes + 16, self.limits.notes)

    def _send_rest(self, rest: memoryview, deadline: float | None) -> None:
        """What did not go at once. The guest may be writing too: then somebody has to read."""
        while rest:
            sent = self._wire.write_some(rest)
            rest = rest[sent:]
            if sent:
                continue
            what = select.POLLOUT
            reading = self._reading.acquire(False)
            try:
                if reading:
                    what |= select.POLLIN
                tick = 0.05 if not reading else 3600.0
                left = tick if deadline is None else min(tick, _left(deadline))
                ready = _poll(self._wire.sock, what, left)
                if reading and ready:
                    self._wire.take_ahead()
                if not ready and deadline is not None and not _left(deadline):
                    raise TimeoutError("the guest did not read in time")
            finally:
                if reading:
                    self._reading.release()
                    if len(self._waiters) > 1:
                        self._hand_over()

    def _end(self, error: BaseException) -> None:
        """Nothing more goes over this bridge."""
        if self.over is None:
            if isinstance(error, (GuestEnded, GuestProtocolError, LedgerError)):
                self.over = type(error)(str(error))
            else:
                self.over = GuestEnded(f"the call ended with {type(error).__name__}")
        self.close()

    def _why(self) -> BelljarError:
        """What ended it, to be raised anew."""
        over = self.over or GuestEnded("the guest has ended")
        return type(over)(str(over))


def _told(error: Exception) -> tuple[str, str, str]:
    """What the guest is told of an exception here: no message, for that may hold paths."""
    name, message = type(error).__name__, ""
    if isinstance(error, Unsendable):
        name, message = "TypeError", "the result is not data that crosses the bridge"
    if isinstance(error, (RaisedForGuest, GuestError)):
        name, message = error.type_name, error.message
    elif isinstance(error, Unsendable):
        name, message = "TypeError", str(error)
    return name[:NAME_OF_ERROR], message[:MESSAGE_OF_ERROR], ""
