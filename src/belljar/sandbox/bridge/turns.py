"""Whose turn it is to read what a guest sends, and whose every frame is: the host's end of the
bridge below `Peer`.

Whoever waits reads, and hands over what is another thread's. The phase table is applied here.
"""

from __future__ import annotations

import os
import select
from _thread import allocate_lock
from collections import deque

from belljar.errors import GuestEnded, GuestProtocolError, LedgerError
from belljar.sandbox.bridge.wire import BridgeLimits, Wire, left_until, ready
from belljar.sandbox.guest.ops import (
    ANY,
    FROM_GUEST,
    INSIDE,
    NESTED,
    NOTE,
    NOTES_FROM_GUEST,
    RAISED,
    REPLY,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, Final

    from belljar.sandbox.bridge.wire import Frame

_ANSWERED: Final = -1  # the depth of a request that has its answer
_TICK: Final = 0.05  # seconds after which a thread that writes looks whether anybody reads
_NOTES_FOR_A_FRAME: Final = 16  # that the guest may send for each frame that it gets


class Waiter:
    """A request of the host's, and the frames that are for the thread which made it."""

    __slots__ = ("blocked", "depth", "frames", "inside", "lock")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.inside = False  # a request of the guest's inside this one has no answer yet
        self.blocked = False
        self.frames: deque[Frame] = deque()
        self.lock: Any = None  # made when it is needed

    def wake(self) -> None:
        try:
            self.lock.release()
        except RuntimeError:  # it is awake
            return


class Turns:
    """`over` says why nothing more can be asked, once that is so."""

    def __init__(self, sock: socket.socket, limits: BridgeLimits | None) -> None:
        self.limits = limits or BridgeLimits()
        self.over: GuestEnded | GuestProtocolError | LedgerError | None = None
        self._wire = Wire(sock, self.limits)
        self._pid = os.getpid()
        self._waiters: dict[int, Waiter] = {}
        self._outside = 0  # the guest's requests without an answer that are inside none of ours
        self._last = 0
        self._notes = self.limits.notes
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

    def close(self) -> None:
        """Close the bridge from any thread; those that wait get GuestEnded."""
        if self.over is None:
            self.over = GuestEnded("the sandbox is closed")
        if os.getpid() == self._pid:
            self._wire.close()
        for waiter in list(self._waiters.values()):
            if waiter.blocked:
                waiter.wake()

    def _wait(self, waiter: Waiter, deadline: float | None) -> Frame:
        """The next frame for this thread to deal with."""
        while True:
            if waiter.frames:
                waiter.blocked = False
                if len(self._waiters) > 1:  # it may be this one whom the last reader woke to read
                    self._hand_over()
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
                    left = -1 if deadline is None else left_until(deadline)
                    awake = waiter.lock.acquire(True, left)
                    waiter.blocked = False
                    if not awake and left == 0:
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

    def _route(self, mine: Waiter, deadline: float | None) -> Frame | None:
        """Read one frame: this thread's to deal with, or handed over (None)."""
        frame = self._wire.read(deadline)
        kind, number, parent, data, at = frame
        if kind in (REPLY, RAISED):
            waiter = self._waiters.get(number)
            if waiter is None or waiter.inside or parent or waiter.depth == _ANSWERED:
                raise GuestProtocolError("an answer to what was not asked, or within its call")
            waiter.depth = _ANSWERED
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

    def _check(self, number: int, parent: int, op: int) -> Waiter | None:
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
        return waiter

    def _send(self, frame: bytes, deadline: float | None, ancillary: Any = None) -> None:
        if self.over is not None:
            raise self._why()
        if os.getpid() != self._pid:
            self.over = GuestEnded("a forked process has no part in its parent's sandbox")
            raise self._why()
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
            self._notes = min(self._notes + _NOTES_FOR_A_FRAME, self.limits.notes)

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
                tick = _TICK if not reading else 3600.0
                left = tick if deadline is None else min(tick, left_until(deadline))
                some = ready(self._wire.sock, what, left)
                if reading and some:
                    self._wire.take_ahead()
                if not some and deadline is not None and not left_until(deadline):
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

    def _why(self) -> Exception:
        """What ended it, to be raised anew."""
        over = self.over or GuestEnded("the guest has ended")
        return type(over)(str(over))
