"""A writer whose ledger is a collector's: what is appended goes over a Unix socket.

Imports little, as `Writer` does. The other end is `belljar.ledger.collect.collector`.
"""

from __future__ import annotations

import os
import struct
import time
from _socket import (
    AF_UNIX,
    MSG_NOSIGNAL,
    MSG_PEEK,
    SO_SNDTIMEO,
    SOCK_CLOEXEC,
    SOCK_STREAM,
    SOL_SOCKET,
)
from _socket import socket as _Socket  # noqa: N812
from _thread import allocate_lock

from belljar.errors import LedgerError
from belljar.ledger.collect.wire import ACK, HELLO, Malformed, append, parse_said
from belljar.ledger.deflate import stored
from belljar.ledger.notes import check
from belljar.ledger.place import UNIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final, NoReturn

    from belljar.ledger.notes import Item

_MOST_PARTS: Final = 512  # of one sendmsg; the kernel takes 1024
_CHUNK: Final = 1 << 16
DEADLINE: Final = 30.0


class RemoteWriter:
    """Appends to the ledger of the collector that listens at `path`; the interface of `Writer`.

    `append` returns when the collector has acknowledged: recorded, and on disk where its policy
    is `always`. `deadline` is how many seconds connecting, or one append, may take. Safe to share
    between threads; a child after `fork` gets a connection, and so an identity, of its own, and
    may append to runs that it began itself.
    Raises `LedgerError` when there is no collector, or it has no room: nothing runs unrecorded.

    >>> with RemoteWriter("/run/belljar/collect.sock") as ledger:  # doctest: +SKIP
    ...     ledger.append([(START, 1, payload)], run=os.urandom(16))
    [4711]
    """

    _pid: int
    _socket: _Socket | None

    def __init__(self, path: str, *, deadline: float = DEADLINE) -> None:
        self.path = path
        self.directory = UNIX + path
        self.connection = 0  # its number, as SENDER records have it
        self._deadline = deadline
        self._why = ""
        self._mutex = allocate_lock()
        self._open()

    def __enter__(self) -> RemoteWriter:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def append(self, items: Sequence[Item], run: bytes, now: int | None = None) -> list[int]:
        """Append `items`, each (kind, number of entries, payload), of `run` (16 bytes), in order.

        All or none of them is recorded; the first item of a run must be its START. `now` is
        not used: the record has the collector's time. Returns the number of each item's first
        entry. Raises `ValueError` for what no sender may append, and `LedgerError` when it was
        not acknowledged. If the connection broke, or the deadline came, it may be recorded all
        the same; nothing is ever sent twice. After that every append fails.
        """
        check(items, run)
        if self._pid != os.getpid():
            self._leave_parent()
        ready = [(kind, count, *stored(kind, payload)) for kind, count, payload in items]
        with self._mutex:
            if self._socket is None:
                why = self._why or "it is closed"
                raise LedgerError(f"cannot append to the collector at {self.path}: {why}")
            try:
                parts = append(self._number + 1, run, ready)
            except Malformed as error:
                raise ValueError(f"the collector would not take this: {error}") from None
            until = time.monotonic() + self._deadline
            if not self._number and self._gone():
                # A collector does not wait long for a first START. Nothing was said: say it anew.
                self._hang_up()
                self._open()
            self._number += 1
            self._send(parts, until)
            kind, number, values, reason = self._hear(until)
            if kind == ACK and number == self._number and len(values) == len(items):
                return list(values)
            if kind == ACK or number not in (0, self._number):
                self._fail("it acknowledged something else")
            if number == 0:
                self._fail(f"it ended the connection: {reason}")
            raise LedgerError(f"the collector at {self.path} could not record: {reason}")

    def close(self) -> None:
        """Let go of the collector. Closing again does nothing."""
        if self._pid != os.getpid():
            self._mutex = allocate_lock()
        with self._mutex:
            self._hang_up()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._number = 0
        self._rest = b""
        self._why = ""
        until = time.monotonic() + self._deadline
        self._socket = _Socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
        try:
            self._connect(self._socket, until)
        except OSError as error:
            self._hang_up()
            why = "the deadline passed" if isinstance(error, TimeoutError) else error.strerror
            raise LedgerError(
                f"no collector takes records at {self.path}: {why}; start one "
                "(belljar log collect), or name a directory instead"
            ) from error
        kind, _number, values, reason = self._hear(until)
        if kind != HELLO:
            self._fail(reason or "it does not greet")
        self.connection = values[0]

    def _gone(self) -> bool:
        """Whether the collector hung up before anything was said. (Now it has nothing to say.)"""
        assert self._socket is not None
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _connect(self, sock: _Socket, until: float) -> None:
        """Wait for a place in the collector's queue, which a flood, or a collector that starts
        again, may have filled. The kernel queues those who block; others would have to race.
        """
        left = max(until - time.monotonic(), 0.001)
        limit = struct.pack("@ll", int(left), int(left % 1 * 1e6))
        sock.setsockopt(SOL_SOCKET, SO_SNDTIMEO, limit)
        try:
            sock.connect(self.path)
        except BlockingIOError:
            raise TimeoutError from None

    def _leave_parent(self) -> None:
        """After `fork`: the parent's connection is the parent's word."""
        self._mutex = allocate_lock()
        self._hang_up()
        self._open()

    def _send(self, parts: list[bytes], until: float) -> None:
        """Everything, by the deadline."""
        sock = self._socket
        assert sock is not None
        left = [memoryview(part) for part in parts if part]
        try:
            while left:
                self._wait(sock, until)
                sent = sock.sendmsg(left[:_MOST_PARTS], (), MSG_NOSIGNAL)
                done = 0
                while done < len(left) and sent >= len(left[done]):
                    sent -= len(left[done])
                    done += 1
                left = left[done:]
                if sent:
                    left[0] = left[0][sent:]
        except TimeoutError:
            self._fail(f"it took nothing for {self._deadline:g} seconds")
        except OSError as error:
            # Why it hung up may have been said before.
            self._fail(self._last_word() or f"it is gone ({error.strerror})")
        except BaseException:
            self._hang_up()  # half a message was said: nothing may follow it
            raise

    def _hear(self, until: float) -> tuple[int, int, tuple[int, ...], str]:
        """The next thing the collector says, by the deadline."""
        sock = self._socket
        assert sock is not None
        try:
            while (said := parse_said(self._rest)) is None:
                self._wait(sock, until)
                more = sock.recv(_CHUNK)
                if not more:
                    self._fail("it is gone")
                self._rest += more
        except TimeoutError:
            self._fail(f"it did not answer for {self._deadline:g} seconds")
        except OSError as error:
            self._fail(f"it is gone ({error.strerror})")
        except Malformed as error:
            self._fail(f"{error}")
        except BaseException:
            self._hang_up()  # the answer would be taken for that to another append
            raise
        self._rest = self._rest[said[4] :]
        return said[:4]

    def _wait(self, sock: _Socket, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)

    def _last_word(self) -> str:
        """Why the collector ended the connection, if it has said so."""
        sock = self._socket
        assert sock is not None
        try:
            sock.settimeout(0)
            said = parse_said(self._rest + sock.recv(_CHUNK))
        except (OSError, Malformed):
            return ""
        return f"it ended the connection: {said[3]}" if said and said[3] else ""

    def _fail(self, why: str) -> NoReturn:
        """Nothing more goes over this connection. Raises `LedgerError`."""
        self._why = why
        self._hang_up()
        raise LedgerError(f"the collector at {self.path} did not acknowledge: {why}")

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
