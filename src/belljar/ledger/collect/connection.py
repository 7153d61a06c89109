"""One sender's connection to a collector: what has come of its messages, and its runs.

Holds at most one message that is not whole. Nothing here waits, and nothing writes the ledger.
"""

from __future__ import annotations

import os
import socket
import struct

from belljar.ledger.collect.wire import HEAD, Malformed, parse_append, parse_head
from belljar.ledger.format import END, START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from belljar.ledger.collect.identity import Sender
    from belljar.ledger.collect.shares import Pool, Shares
    from belljar.ledger.collect.wire import Item

#: Messages up to this size cost no room in the pool: every connection may have one.
SMALL: Final = 1 << 16
#: Runs that one connection may have open.
MOST_OPEN: Final = 256
_AT_ONCE: Final = 1 << 20
_CREDENTIALS: Final = struct.Struct("<3i")
#: Room for the credentials and nothing more: descriptors that a sender passes find none, so the
#: kernel drops them.
_ANCILLARY: Final = socket.CMSG_SPACE(_CREDENTIALS.size)


class Message:
    """An APPEND that may be recorded: it `begins` its run, or the connection has."""

    __slots__ = ("begins", "ends", "items", "number", "run", "size")

    def __init__(self, number: int, run: bytes, items: list[Item], size: int) -> None:
        self.number = number
        self.run = run
        self.items = items
        self.size = size
        self.begins = self.ends = False


class Connection:
    """A sender that connected through `sock`.

    The collector calls `receive` when something came, then `take` until that gives nothing, and
    `recorded` or `refused` for each message before it takes the next.
    """

    __slots__ = (
        "_at", "_big", "_filled", "_head", "_last", "_rest", "again", "came", "eof", "fresh",
        "heard", "held", "looked", "mask", "number", "open", "out", "pooled", "sender", "shares",
        "since", "sock", "throttled", "wants",
    )  # fmt: skip

    def __init__(
        self, sock: socket.socket, number: int, sender: Sender, shares: Shares, now: float = 0.0
    ) -> None:
        sock.setblocking(False)
        # Not all kernels hand this on from the listening socket. What was sent before it was
        # accepted carries credentials all the same.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock = sock
        self.number = number
        self.sender = sender
        self.shares = shares
        self.open: set[bytes] = set()
        self.out = bytearray()  # not yet sent
        self.eof = self.again = self.throttled = self.pooled = False
        self.mask = 0
        self.held = self.wants = 0  # bytes of the pool
        self.since = 0.0  # when the message that is not whole began to arrive
        self.came = self.heard = now  # when it connected, or was read from again; said something
        self.fresh = True  # no run was begun yet
        self.looked = False  # whether something was there when it was late
        self._rest = b""
        self._at = 0
        self._big: bytearray | None = None
        self._filled = 0
        self._head = (0, 0, 0, 0)
        self._last = 0

    def receive(self, scratch: memoryview) -> int:
        """Take what has come, `scratch` or a megabyte at most; how many bytes that was.

        Raises `Malformed` for bytes that another process wrote than the one that connected, and
        for descriptors; `BlockingIOError` and `OSError` as `recvmsg` does.
        """
        room = scratch
        if self._big is not None:
            room = memoryview(self._big)[self._filled : self._filled + _AT_ONCE]
        got, ancillary, flags, _address = self.sock.recvmsg_into([room], _ANCILLARY)
        if got == 0:
            self.eof = True  # the kernel then adds credentials of nobody
            return 0
        self._check(ancillary, flags)
        if self._big is not None:
            self._filled += got
        elif self._at < len(self._rest):
            self._rest = self._rest[self._at :] + bytes(room[:got])
            self._at = 0
        else:
            self._rest = bytes(room[:got])
            self._at = 0
        return got

    def _check(self, ancillary: list[tuple[int, int, bytes]], flags: int) -> None:
        """Who wrote this is who connected, and nothing came along with it."""
        passed = [data for _level, kind, data in ancillary if kind == socket.SCM_RIGHTS]
        for data in passed:
            for (fd,) in struct.iter_unpack("i", data):
                os.close(fd)
        if passed or flags & socket.MSG_CTRUNC:
            raise Malformed("descriptors were sent along")
        writers = [_CREDENTIALS.unpack_from(data)[0] for _level, _kind, data in ancillary]
        if writers != [self.sender.pid]:
            who = writers[0] if writers else "unknown"
            raise Malformed(f"process {who} wrote on the connection of another")

    def take(self, pool: Pool, begun: Callable[[bytes], bool]) -> Message | None:
        """The next message, if it is whole. `begun` says of a run that it was begun before.

        None with `wants` set: the pool has no room for it now, and nothing is read until it has.
        Raises `Malformed` for what no sender may say.
        """
        if self._big is not None:
            if self._filled < len(self._big):
                return None
            body, head = memoryview(self._big), self._head
            self._big = None
            return self._judge(head, body, begun)
        left = len(self._rest) - self._at
        if left < HEAD.size:
            return None
        head = parse_head(self._rest, self._at)
        if head[3] != self._last + 1:
            raise Malformed(f"message {head[3]} comes after {self._last}")
        start = self._at + HEAD.size
        size = HEAD.size + head[2]
        if left >= size:
            self._at += size
            return self._judge(head, memoryview(self._rest)[start : start + head[2]], begun)
        if size > SMALL:
            self.wants = head[2]
            if pool.take(self.shares.user, self.wants):
                self.held, self.wants = self.wants, 0
                self._big = bytearray(head[2])
                self._filled = left - HEAD.size
                self._big[: self._filled] = self._rest[start:]
                self._head = head
                self._rest, self._at = b"", 0
        return None

    @property
    def more(self) -> bool:
        """May `take` find another message in what has come already?"""
        return len(self._rest) - self._at >= HEAD.size

    @property
    def amid(self) -> bool:
        """Has a message begun that is not whole?"""
        return self._big is not None or self._at < len(self._rest)

    def recorded(self, message: Message, pool: Pool) -> None:
        """`message` is in the ledger."""
        if message.begins:
            self.open.add(message.run)
            self.fresh = False
        if message.ends:
            self.open.discard(message.run)
        self.release(pool)

    def restart(self, now: float) -> None:
        """What it had to wait for is not held against it: its deadlines begin anew."""
        self.came = now
        self.since = now if self.since else 0.0
        self.looked = False

    def release(self, pool: Pool) -> None:
        """Give back what the last message held of the pool."""
        if self.held:
            pool.give(self.shares.user, self.held)
            self.held = 0

    def _judge(
        self, head: tuple[int, int, int, int], body: memoryview, begun: Callable[[bytes], bool]
    ) -> Message:
        """A whole message: is it of a run that this connection began itself?"""
        _kind, count, length, number = head
        run, items = parse_append(body, count)
        message = Message(number, run, items, length)
        is_open = run in self.open
        for kind, *_rest in items:
            if kind == START:
                if is_open or message.begins or begun(run):
                    raise Malformed(f"run {run.hex()} was begun before")
                if len(self.open) >= MOST_OPEN:
                    raise Malformed(f"more than {MOST_OPEN} runs are open")
                message.begins = is_open = True
            elif not is_open:
                raise Malformed(f"run {run.hex()} is not one that this connection has open")
            elif kind == END:
                message.ends = True
                is_open = False
        self._last = number
        return message


def turn_away(sock: socket.socket, what: bytes) -> None:
    """Say one thing to who connected, and no more."""
    try:
        sock.send(what, socket.MSG_NOSIGNAL)
    except OSError:
        return
    finally:
        sock.close()
