"""The collector of a machine: one process, one ledger, any number of senders on a Unix socket.

A poll loop that never waits for a sender. What all who are ready have said is appended in one
write, brought to disk as the policy wants it, and only then acknowledged. `docs/collector.md`.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque

from belljar._native import pack
from belljar.errors import LedgerError
from belljar.ledger.collect.begun import Begun
from belljar.ledger.collect.connection import SMALL, Connection, Message, turn_away
from belljar.ledger.collect.crowd import Crowd
from belljar.ledger.collect.identity import of
from belljar.ledger.collect.shares import Limits, Pool
from belljar.ledger.collect.wire import Malformed, ack, hello, no, weight
from belljar.ledger.format import OVERHEAD, SENDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from belljar.ledger.collect.identity import Sender
    from belljar.ledger.writer import Ready, Writer

_EVENTS: Final = 64  # connections looked at in one round
_ACCEPTS: Final = 16
_GROUP: Final = 16 << 20  # bytes that one write may gather, and one more message
_PAUSE: Final = 0.1  # seconds without new connections where there is no descriptor for them
_LAST: Final = 2.0  # seconds for what has been sent when the collector is told to stop
_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT
_NO_RUN: Final = bytes(16)


class Collector:
    """Records what the senders that connect to `listener` say, with `writer`.

    `run` works until `stop` (which may be called from a signal handler) or until the ledger can
    not be used any more (`LedgerError`). Takes `listener` and `writer` over and closes them.
    `clock` counts seconds for deadlines and never goes back; `wall` is the time, in nanoseconds,
    that records carry: nothing else depends on it.

    >>> Collector(listener, Writer("/var/lib/belljar/ledger")).run()  # doctest: +SKIP
    """

    def __init__(
        self,
        listener: socket.socket,
        writer: Writer,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.limits = limits or Limits()
        self.connections = 0  # since the start
        self._listener = listener
        self._writer = writer
        self._clock = clock
        self._wall = wall
        self._name = os.urandom(8).hex()
        self._begun = Begun(writer.directory)
        self.flaw = self._begun.flaw  # why it does not know all runs that have begun, or ""
        self._pool = Pool(self.limits.pool)
        self._scratch = memoryview(bytearray(SMALL))
        self._crowd = Crowd(self.limits)
        self._again: list[Connection] = []
        self._group: list[tuple[Connection, Message]] = []
        self._gathered = 0
        self._notes: list[tuple[bytes, dict[str, object]]] = []
        self._throttled: list[Connection] = []
        self._pooled: deque[Connection] = deque()
        self._deaf_until = 0.0
        self._stopping = False
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._epoll = select.epoll()
        self._epoll.register(self._wake, _IN)
        self._epoll.register(listener.fileno(), _IN)

    def stop(self) -> None:
        """End `run`, after what has been sent until now is recorded. Again, or later: nothing."""
        if not self._stopping:
            self._stopping = True
            os.write(self._waker, b"\0")

    def run(self) -> None:
        """Work until told to stop. Raises `LedgerError` when the ledger cannot be used."""
        try:
            while not self._stopping:
                self.step()
            self._finish()
        finally:
            self._close()

    def step(self, longest: float = 60.0) -> bool:
        """One round: read, record, acknowledge. False where nothing came in `longest` seconds."""
        timeout = 0.0 if self._again else min(longest, self._until())
        ready = self._epoll.poll(timeout, _EVENTS)
        now = self._clock()
        for fd, what in ready:
            if fd == self._wake:
                os.read(self._wake, 4096)
            elif fd == self._listener.fileno():
                self._accept(now)
            elif (connection := self._crowd.get(fd)) is not None:
                self._serve(connection, what, now)
        work, self._again = self._again, []
        for connection in work:
            connection.again = False
            if connection.sock.fileno() >= 0:
                self._take(connection, now)
            if self._gathered >= _GROUP:
                self._commit()
        self._commit()
        self._wake_up(now)
        self._commit()
        return bool(ready or work)

    # -- connections

    def _accept(self, now: float) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, _address = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError:
                self._epoll.unregister(self._listener.fileno())
                self._deaf_until = now + _PAUSE
                return
            try:
                sender = of(sock)
            except LedgerError as error:
                turn_away(sock, no(0, str(error)))
                continue
            shares = self._crowd.of(sender.uid, now)
            full, goes = self._crowd.place(shares)
            if full:
                turn_away(sock, no(0, full))
                continue
            if goes is not None:
                self._end(goes, "the collector is full, and this user has most of its connections")
            self.connections += 1
            connection = Connection(sock, self.connections, sender, shares, now)
            self._crowd.enter(connection)
            connection.out += hello(connection.number)
            self._flush(connection)

    def _serve(self, connection: Connection, what: int, now: float) -> None:
        """Something happened on a connection. It is read only where that was waited for."""
        if what & _OUT:
            self._flush(connection)
        if not what & ~_OUT or connection.sock.fileno() < 0:
            return
        if not connection.mask & _IN:
            self._end(connection, "")  # it hung up and will not take what we have for it
            return
        try:
            got = connection.receive(self._scratch)
        except (BlockingIOError, InterruptedError):
            return
        except Malformed as error:
            self._end(connection, str(error))
            return
        except OSError:
            connection.eof = True
            got = 0
        connection.shares.bucket.take(got, now)
        connection.heard = now
        self._later(connection)

    def _take(self, connection: Connection, now: float) -> None:
        """Let the next message of `connection` into the group, if there is one."""
        try:
            message = connection.take(self._pool, self._begun.__contains__)
        except Malformed as error:
            self._end(connection, str(error))
            return
        if message is None:
            if connection.wants:
                if not connection.pooled:
                    connection.pooled = True
                    self._pooled.append(connection)
            elif connection.eof:
                self._end(connection, "")
                return
            if connection.amid and not connection.since:
                connection.since = now
                self._crowd.expect(connection)
            self._mask(connection, now)
            return
        connection.since = 0.0
        connection.looked = False
        if message.begins:
            self._begun.add(message.run)
        self._gathered += message.size
        self._group.append((connection, message))

    def _later(self, connection: Connection) -> None:
        if not connection.again:
            connection.again = True
            self._again.append(connection)

    def _end(self, connection: Connection, fault: str) -> None:
        """Close a connection. What stays open of it, or its fault, is recorded."""
        fd = connection.sock.fileno()
        if fd < 0:
            return
        if fault:
            connection.out += no(0, fault)
            self._flush_once(connection)
        if connection.mask:
            self._epoll.unregister(fd)
            connection.mask = 0
        self._crowd.leave(connection)
        connection.sock.close()
        connection.release(self._pool)
        note: dict[str, object] = {"ended": fault or "closed"}
        self._note(connection, note, bool(fault))
        connection.open.clear()

    def _note(self, connection: Connection, note: dict[str, object], fault: bool) -> None:
        """A record of how a connection ended: for each of its open runs, else for its fault."""
        if not connection.open and not fault:
            return
        shares, now = connection.shares, self._clock()
        if shares.notes.wait(now) > 0:
            shares.unnoted += 1
            return
        if shares.unnoted:
            note["unnoted"], shares.unnoted = shares.unnoted, 0
        shares.notes.take(1, now)
        identity = self._identity(connection)
        for run in sorted(connection.open) or [_NO_RUN]:
            self._notes.append((run, {**identity, **note}))

    def _identity(self, connection: Connection) -> dict[str, object]:
        who: Sender = connection.sender
        return {"collector": self._name, "connection": connection.number, **who.plain()}

    # -- recording

    def _commit(self) -> None:
        """Append what is gathered in one write, then answer everybody."""
        group, self._group = self._group, []
        notes, self._notes = self._notes, []
        self._gathered = 0
        if not group and not notes:
            return
        now = self._clock()
        groups: list[Ready] = [([(SENDER, 1, 0, pack(note))], run) for run, note in notes]
        told = len(groups)
        for connection, message in group:
            items = message.items
            if message.begins:
                items = [(SENDER, 1, 0, pack(self._identity(connection))), *items]
                connection.shares.bucket.take(OVERHEAD + len(items[0][3]), now)
            connection.shares.bucket.take(weight(message.items), now)
            groups.append((items, message.run))
        try:
            numbers = self._writer.append_stored(groups, self._wall())
        except LedgerError as error:
            self._not_recorded(group, str(error), now)
            if not isinstance(error.__cause__, OSError):
                raise  # deleted, cut, or not a ledger any more: it will not get better
            return
        for (connection, message), entries in zip(group, numbers[told:], strict=True):
            connection.recorded(message, self._pool)
            connection.out += ack(message.number, entries[message.begins :])
            self._answered(connection)

    def _not_recorded(self, group: list[tuple[Connection, Message]], why: str, now: float) -> None:
        for connection, message in group:
            if message.begins:
                self._begun.discard(message.run)
            connection.release(self._pool)
            connection.out += no(message.number, why)
            self._answered(connection)

    def _answered(self, connection: Connection) -> None:
        if connection.sock.fileno() < 0:
            return
        self._flush(connection)
        if connection.sock.fileno() >= 0 and (connection.more or connection.eof):
            self._later(connection)

    # -- who is looked at, and when

    def _flush(self, connection: Connection) -> None:
        """Send what is to be sent; what does not go now goes when there is room."""
        if not self._flush_once(connection):
            self._end(connection, "")
            return
        self._mask(connection, self._clock())

    def _flush_once(self, connection: Connection) -> bool:
        try:
            while connection.out:
                del connection.out[: connection.sock.send(connection.out, socket.MSG_NOSIGNAL)]
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            connection.out.clear()
            return connection.eof  # it may be gone, and what it has said is there all the same
        return True

    def _mask(self, connection: Connection, now: float) -> None:
        """Wait for what `connection` may do now. Not reading is how it is slowed down."""
        if connection.sock.fileno() < 0:
            return
        if not connection.throttled and connection.shares.bucket.wait(now) > 0:
            connection.throttled = True
            self._throttled.append(connection)
        waits = connection.throttled or connection.pooled or connection.again
        reads = not (waits or connection.out or connection.eof)
        mask = (_IN if reads else 0) | (_OUT if connection.out else 0)
        fd = connection.sock.fileno()
        if mask != connection.mask:
            # With no mask at all epoll would still tell of a hang-up, again and again.
            if not mask:
                self._epoll.unregister(fd)
            elif connection.mask:
                self._epoll.modify(fd, mask)
            else:
                self._epoll.register(fd, mask)
            connection.mask = mask

    def _wake_up(self, now: float) -> None:
        """Look again at who had to wait, and end who is late."""
        if self._deaf_until and now >= self._deaf_until:
            self._deaf_until = 0.0
            self._epoll.register(self._listener.fileno(), _IN)
        waiting, self._throttled = self._throttled, []
        for connection in waiting:
            connection.throttled = False
            connection.restart(now)
            self._mask(connection, now)
        for connection, why in self._crowd.late(now):
            if connection.looked or not connection.mask & _IN:
                self._end(connection, why)
            else:
                # It may have said it while we were busy with others, or waited for the disk.
                connection.looked = True
                self._serve(connection, _IN, now)
        for _ in range(len(self._pooled)):
            connection = self._pooled.popleft()
            connection.pooled, connection.wants = False, 0
            if connection.sock.fileno() >= 0:
                self._take(connection, now)
                if connection.held:
                    connection.restart(now)

    def _until(self) -> float:
        """Seconds until somebody has waited long enough."""
        now = self._clock()
        waits = [c.shares.bucket.wait(now) for c in self._throttled]
        if self._deaf_until:
            waits.append(self._deaf_until - now)
        if (late := self._crowd.until(now)) is not None:
            waits.append(late)
        return max(0.001, min(waits, default=60.0))

    # -- the end

    def _finish(self) -> None:
        """What has been sent is recorded; nobody new comes."""
        if not self._deaf_until:
            self._epoll.unregister(self._listener.fileno())
        self._deaf_until = 0.0
        end = self._clock() + _LAST
        while self.step(0.0) and self._clock() < end:
            continue
        for connection in self._crowd:
            self._note(connection, {"ended": "the collector stopped"}, fault=False)
        self._commit()

    def _close(self) -> None:
        self._stopping = True  # a signal may still come
        for connection in self._crowd:
            self._crowd.leave(connection)
            connection.sock.close()
        self._epoll.close()
        for fd in (self._wake, self._waker):
            os.close(fd)
        self._listener.close()
        self._writer.close()
