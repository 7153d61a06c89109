"""The host's end of the bridge for large values: a peer whose messages may bring shared memory.

Descriptors go to the guest ahead of the message that names them, and never come from it: the socket
is read without room for any, so the kernel drops what a guest sends.
"""

from __future__ import annotations

import os
from _thread import get_ident

from belljar.errors import GuestProtocolError
from belljar.sandbox.bridge.peer import Peer, RaisedForGuest
from belljar.sandbox.guest.ops import BUFFER, RAISED
from belljar.sandbox.live.buffers import Buffers, Incoming, NoRoom, Outgoing

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

    from belljar.sandbox.bridge.wire import BridgeLimits


class LargePeer(Peer):
    """As `Peer`; what is too large for a frame, and arrays, cross by `buffers`."""

    def __init__(
        self,
        sock: socket.socket,
        serve: Callable[[str, Any, Callable[..., Any]], object],
        buffers: Buffers,
        limits: BridgeLimits | None = None,
        refer: Any = None,
        resolve: Any = None,
    ) -> None:
        super().__init__(sock, serve, limits, self._refer_large, self._resolve_large)
        self.buffers = buffers
        self._refer_other = refer
        self._resolve_other = resolve
        self._serve_other = self._serve
        self._serve = self._serve_large
        self._out: dict[int, Outgoing] = {}  # by thread, for the message that is being written
        self._in: dict[int, Incoming] = {}  # by thread, for the one that is being read
        self._ready = False  # the guest reads with room for descriptors
        self._unclaimed: list[int] = []
        self._dropped: list[int] = []

    def request(self, op: str, body: object, deadline: float | None = None) -> Any:
        """As `Peer.request`. Raises `BelljarError` for an array that cannot cross."""
        if self._out:
            self._give_up()
        return super().request(op, body, deadline)

    def close(self) -> None:
        """Close the bridge, from any thread, and give all memory of the guest's back."""
        super().close()
        self.buffers.close()

    # --- to the guest ----------------------------------------------------------------------------

    def _refer_large(self, value: Any) -> Any:
        thread = get_ident()
        out = self._out.get(thread)
        if out is None:
            out = Outgoing(self.buffers, self._refer_other)
        at = len(out.fds)
        found: Any = out.refer(value)
        if found is None or found[0] != BUFFER:
            return found
        self._out[thread] = out
        if len(out.fds) > at:
            out.places[found[1]] = self._give(out.fds[at][1])
        return (*found[:2], (*found[2], out.places.get(found[1], 0)))

    def _give(self, fd: int) -> int:
        if not self._ready or self._unclaimed:
            unclaimed, self._unclaimed = self._unclaimed, []
            self._ask_beside("buffer", tuple(unclaimed))
            if not self._ready:  # nobody over there is still reading as before
                self._ask_beside("buffer", ())
            self._ready = True
        return self.send_descriptors([fd])[0]

    def hand_over(self, fds: list[int]) -> tuple[int, ...]:
        """Give the guest copies of these, all at once; their places among what it was given."""
        if not self._ready or self._unclaimed:
            unclaimed, self._unclaimed = self._unclaimed, []
            super().request("buffer", tuple(unclaimed))
            if not self._ready:
                super().request("buffer", ())
            self._ready = True
        return tuple(self.send_descriptors(fds))

    def _ask_beside(self, op: str, body: object) -> None:
        """Ask while a message is being written."""
        out = self._out.pop(get_ident(), None)
        try:
            super().request(op, body)
        finally:
            if out is not None:
                self._out[get_ident()] = out

    def _send(self, frame: bytes, deadline: float | None, ancillary: Any = None) -> None:
        if self._out and ancillary is None:
            if frame[4] == RAISED:
                self._give_up()
            else:
                out = self._out.pop(get_ident(), None)
                if out is not None:
                    out.done()
        super()._send(frame, deadline, ancillary)

    def _give_up(self) -> None:
        """A message was begun in this thread, and not sent."""
        out = self._out.pop(get_ident(), None)
        if out is not None:
            self._unclaimed += out.places.values()
            out.done(sent=False)

    # --- from the guest --------------------------------------------------------------------------

    def _value(self, data: bytes, at: int) -> Any:
        try:
            return super()._value(data, at)
        except GuestProtocolError as error:
            self._end(error)
            raise
        finally:
            if self._in:
                incoming = self._in.pop(get_ident(), None)
                if incoming is not None:
                    incoming.done()

    def _resolve_large(self, kind: int, number: int, *about: Any) -> Any:
        if kind != BUFFER:
            if self._resolve_other is None:
                raise LookupError(kind)
            return self._resolve_other(kind, number, *about)
        thread = get_ident()
        incoming = self._in.get(thread)
        if incoming is None:
            incoming = self._in[thread] = Incoming(self.buffers)
        return incoming.resolve(number, about[0] if about else None)

    def _serve_large(self, op: str, body: Any, request: Callable[..., Any]) -> object:
        if op == "buffer":
            return self._allot(body)
        if op != "free":
            return self._serve_other(op, body, request)
        if type(body) is not tuple:
            raise GuestProtocolError("the guest dropped what has no number")
        # Another thread may be about to read a message that names them: then they wait.
        self._dropped += body
        if len(self._waiters) <= 1:
            dropped, self._dropped = self._dropped, []
            self.buffers.drop(dropped)
        elif len(self._dropped) > 10_000:
            raise GuestProtocolError("the guest drops more than it has")
        return None

    def _allot(self, size: object) -> object:
        if type(size) is int and size == 0:
            self._ready = True
            return None
        if not self._ready:
            raise GuestProtocolError("the guest asked for memory and reads no descriptors")
        try:
            number, fd = self.buffers.allot(size)
        except NoRoom as why:
            raise RaisedForGuest("MemoryError", str(why)) from None
        try:
            return number, self.send_descriptors([fd])[0]
        finally:
            os.close(fd)
