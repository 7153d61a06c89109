"""The host's end of the bridge: asks the guest, and serves what it may ask.

Any thread may ask; whoever waits reads, and hands over what is another's. What the guest asks
inside a request is served by the thread that waits for that, everything else by whoever reads.
"""

from __future__ import annotations

import itertools
from _thread import get_ident

from belljar.errors import GuestEnded, GuestError, GuestProtocolError, LedgerError
from belljar.sandbox.bridge.turns import Turns, Waiter
from belljar.sandbox.bridge.wire import HEAD, HEAD_OP
from belljar.sandbox.guest.ops import (
    DESCRIPTORS,
    FROM_GUEST,
    HOST_ASKS,
    HOST_NOTES,
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
from belljar.sandbox.guest.placing import placed
from belljar.sandbox.guest.values import Malformed, Unsendable, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Any

    from belljar.sandbox.bridge.wire import BridgeLimits, Frame


class RaisedForGuest(Exception):
    """What the guest is to see where a host function raised: a type's name and a message.

    Of any other exception it sees the type's name alone: messages hold paths.
    """

    def __init__(self, type_name: str, message: str = "") -> None:
        super().__init__(f"{type_name}: {message}")
        self.type_name = type_name
        self.message = message


class Peer(Turns):
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
        super().__init__(sock, limits)
        self._serve = serve
        self._refer = refer
        self._resolve = resolve
        self._ids = itertools.count(1)
        self._serving: dict[int, list[tuple[int, int]]] = {}
        self._descriptors = 0

    # --- asking --------------------------------------------------------------------------

    def request(self, op: str, body: object, deadline: float | None = None) -> Any:
        """What the guest answers; `deadline` is a time of `time.monotonic`.

        Raises GuestError for what the guest raised, GuestEnded, GuestProtocolError, TimeoutError
        (the bridge is closed), Unsendable, RecursionError from 32 requests in one another.
        """
        try:
            data = dumps(body, self._refer)
        except Unsendable as error:
            raise placed(error, op, body) from None
        thread = get_ident()
        stack = self._serving.get(thread)
        parent, depth = stack[-1] if stack else (0, 0)
        if depth >= NESTED:
            raise RecursionError(f"host and guest call one another {NESTED} deep")
        if len(data) > self.limits.frame:
            raise ValueError(f"a value of {len(data)} bytes is longer than a frame")
        number = next(self._ids) & 0xFFFFFFFF
        waiter = Waiter(depth + 1)
        answered = False
        try:
            self._waiters[number] = waiter
            head = HEAD_OP.pack(1 + len(data), REQUEST, number, parent, HOST_ASKS[op])
            self._send(head + data, deadline)
            while True:
                frame = self._wait(waiter, deadline)
                if frame[0] == REPLY:
                    answered = True
                    return self._value(frame[3], frame[4])
                if frame[0] == RAISED:
                    answered = True
                    raise self._error(frame[3], frame[4])
                self._answer(frame, deadline)
        except GuestEnded:
            raise self._why() from None
        finally:
            self._waiters.pop(number, None)
            if not answered and self.over is None:  # interrupted between two steps
                self._end(GuestEnded("the call was interrupted"))
            if self._waiters:
                self._hand_over()

    def inside(self, thread: int = 0) -> tuple[int, int] | None:
        """The guest's request that this (or that) thread serves, for another one that goes on with
        it."""
        stack = self._serving.get(thread or get_ident())
        return stack[-1] if stack else None

    def request_for(
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
        waiter = Waiter(0)
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
