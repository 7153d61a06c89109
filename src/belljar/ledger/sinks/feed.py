"""One sink's way through the ledger: read, send, and only then keep the position.

Killed at any moment it goes on from the last position it kept: at least once. What is in memory is
one batch. A receiver that fails is tried again after a pause that grows from half a second to a
minute; nothing is dropped for it, the ledger is the queue.
"""

from __future__ import annotations

import time
from collections import deque
from random import uniform

from belljar.errors import BelljarError, LedgerCorrupt, LedgerError
from belljar.ledger.reader import Reader
from belljar.ledger.sinks import store
from belljar.ledger.sinks.filter import Selection
from belljar.ledger.sinks.transport import Down, Gone, connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Event
    from typing import Final

    from belljar.ledger.sinks.fields import Item
    from belljar.ledger.sinks.store import Position, Registered
    from belljar.ledger.sinks.transport import Transport

_MOST_ITEMS: Final = 256
_MOST_BYTES: Final = 1 << 20
_KEEP: Final = 0.5  # seconds between positions that are kept while much is sent
_LOOK: Final = (0.05, 1.0)  # seconds between looks at a ledger where nothing happens
_PAUSE: Final = (0.5, 60.0)
_IDLE: Final = 5.0
_BEATS: Final = 30.0  # a position is kept so often even when nothing changes


class Feed:
    """Feeds one registered sink until `stop` is set, or it is `over`: its only run has ended, or
    its receiver will never come back. `run` is for a thread of its own and never raises.

    `caught_up` is true while the receiver has everything that was in the ledger at the last look.
    """

    def __init__(self, directory: str, registered: Registered, ledger: str, stop: Event) -> None:
        self.directory, self.registered = directory, registered
        self._ledger, self._stop = ledger, stop
        self.where = store.position(directory, registered, ours=True)
        self.caught_up = False
        self.over = False
        self._transport: Transport | None = None
        self._marks: deque[tuple[float, Position]] = deque()
        self._kept = self.where
        self._kept_at = 0.0
        self._batch: list[Item] = []
        self._next = self.where.next
        self._passed = 0  # entries since the position that are not for this sink
        self._gone = 0  # and those that were pruned
        self._weight = 0  # bytes that what is in the batch came of
        self._settled = self.where
        self._own = ""
        self._reached = 0

    @property
    def lag(self) -> float:
        """How many seconds ago what is being sent was recorded; 0 when everything was sent."""
        if self.caught_up or not self._reached:
            return 0.0
        return max(0.0, (time.time_ns() - self._reached) / 1e9)

    def run(self) -> None:
        """Feed. What fails is in the position's `state` and `why`."""
        pause = _PAUSE[0]
        while not self._stop.is_set() and not self.over:
            sent = self.where.next
            try:
                self._follow()
            except Gone as error:
                self.over = True
                self._say("ended", str(error))
            except Down as error:
                self.caught_up = not self._back() and self.caught_up
                self._say("waiting", str(error))
            except LedgerCorrupt as error:
                self.caught_up = False
                self._say("refused", str(error))
            except (BelljarError, OSError) as error:
                self.caught_up = False
                self._say("waiting", f"the ledger: {getattr(error, 'strerror', error)}")
            except Exception as error:  # noqa: BLE001 (a defect of ours, or of a library's: told)
                self.caught_up = False
                self._say("refused", f"{type(error).__name__}: {error}")
            if self._transport is not None:
                self._transport.close()
            if not self.over and not self._stop.is_set():
                pause = _PAUSE[0] if self.where.next > sent else min(_PAUSE[1], pause * 2)
                self._stop.wait(pause * uniform(0.75, 1.25))  # noqa: S311 (no secret)
        shutdown = getattr(self._transport, "shutdown", None)
        if shutdown is not None:
            shutdown()

    def _follow(self) -> None:
        self._empty()
        self._next = self.where.next
        selection = Selection(self.registered, self.where, self._ledger)
        with Reader(self.directory) as reader:
            self._check()
            self._transport = self._transport or connect(self.registered.sink)
            self._transport.stopped = self._stop.is_set
            if self._transport.overlap and not self._marks:
                self._marks.append((time.monotonic(), self.where))
            meter = getattr(self._transport, "meter", None)
            if meter is not None:
                own = {"belljar.ledger": self._ledger, "belljar.sink": self.registered.sink.id}
                meter(lambda: (self.where, selection.totals, self.lag), own)
            start, wait, beat = self.where.next, _LOOK[0], 0.0
            while not self._stop.is_set():
                before = self._next
                for record in reader.records(start):
                    self._missing(record.first)
                    self._reached = record.time
                    self._weight += len(record.payload)
                    for number, item in selection.items(record, self._next):
                        self._passed += number - self._next if item is None else 0
                        self._next = number
                        if item is not None:
                            self._batch.append(item)
                            self._weight += sum(len(v) for _, v in item.fields if type(v) is str)
                        if len(self._batch) >= _MOST_ITEMS or self._weight > _MOST_BYTES:
                            self._flush(selection)
                        if self._stop.is_set():
                            return self._keep()
                    self._own = record.own.hex()
                    if selection.ended and self.registered.sink.descriptor >= 0:
                        self._flush(selection)
                        self.over = True
                        return self._say("ended", "")
                self._flush(selection)
                self.caught_up = True
                if self._next == before:
                    wait = min(_LOOK[1], wait * 1.5)
                    if time.monotonic() - beat > _IDLE:
                        self._transport.idle()
                        beat = time.monotonic()
                else:
                    wait = _LOOK[0]
                self._state_going()
                start = self._next
                while not reader.grown() and not self._stop.wait(wait):
                    wait = min(_LOOK[1], wait * 1.2)
                    if time.monotonic() - beat > _IDLE:
                        self._transport.idle()
                        beat = time.monotonic()
                    self._state_going()
                self.caught_up = self.caught_up and not reader.grown()
        return self._keep()

    def _check(self) -> None:
        """Refuse to go on in a ledger that is not the one the position is of."""
        where = self.where
        if where.next in (1, self.registered.first):
            return
        with Reader(self.directory) as reader:
            record = next(reader.records(where.next - 1), None)
            ends = reader.position - 1
        if record is None and ends < where.next - 1:
            raise LedgerCorrupt(
                f"entries up to #{where.next - 1} were sent, the ledger ends at #{ends}: it was "
                "cut or rolled back; look at it, then belljar log sinks --reset ID",
                0,
            )
        if record is None or record.first + record.count != where.next:
            return
        if where.own and record.own.hex() != where.own:
            raise LedgerCorrupt(
                f"entry #{where.next - 1} is not the one that was sent: the ledger was replaced; "
                "look at it, then belljar log sinks --reset ID",
                record.offset,
            )

    def _missing(self, first: int) -> None:
        """Entries that were pruned before the receiver had them are lost, and counted."""
        if first > self._next:
            self._gone += first - self._next
            self._next = first

    def _flush(self, selection: Selection) -> None:
        where, transport = self.where, self._transport
        assert transport is not None
        refused = transport.send(self._batch) if self._batch else 0
        if self._next != where.next:
            done = len(self._batch) - refused
            self.where = selection.position(
                where.replace(
                    next=self._next, own="", state="going", why="", sent=where.sent + done,
                    filtered=where.filtered + self._passed,
                    lost=where.lost + refused + self._gone,
                )
            )  # fmt: skip
        self._empty()
        if time.monotonic() - self._kept_at > _KEEP:
            self._keep()

    def _empty(self) -> None:
        self._batch.clear()
        self._passed = self._gone = self._weight = 0

    def _keep(self) -> None:
        """Have the disk have the position. Where it is full or read-only, sending goes on: after a
        restart more is sent twice, that is all. Raises `Down`."""
        now = time.monotonic()
        settle = getattr(self._transport, "settle", None)
        if settle is not None:
            settle()
            self._settled = self.where
        overlap = self._transport.overlap if self._transport is not None else 0.0
        if overlap:
            self._marks.append((now, self.where))
            while len(self._marks) > 1 and self._marks[1][0] < now - overlap:
                self._marks.popleft()
        self._kept_at = now
        try:
            store.save(self.directory, self.registered.sink.id, self._told())
        except OSError:
            return  # `_kept` is older: it is tried again
        self._kept = self.where

    def _told(self) -> Position:
        return self.where.replace(time=time.time_ns(), why=self.where.why[:300])

    def _state_going(self) -> None:
        """Everything was sent. Keep the position, and now and then that it is still so."""
        if self._own and self.where.next == self._next:
            self.where = self.where.replace(own=self._own)
        if self.where.state != "going" or self.where.why:
            self.where = self.where.replace(state="going", why="")
        rest = time.monotonic() - self._kept_at
        if (self.where != self._kept and rest > _KEEP) or rest > _BEATS:
            self._keep()

    def _back(self) -> bool:
        """What a broken connection, or a disk, may have swallowed is sent again; False where
        that is nothing."""
        old = self._marks[0][1] if self._marks else self.where
        if hasattr(self._transport, "settle"):
            old = self._settled
        self._marks.clear()
        if old.next >= self.where.next:
            return False
        self.where = old.replace(counted=self.where.counted, totals=self.where.totals)
        return True

    def _say(self, state: str, why: str) -> None:
        self._empty()
        self.where = self.where.replace(state=state, why=why[:300])
        try:
            store.save(self.directory, self.registered.sink.id, self._told())
        except OSError as error:
            # The ledger's disk is full: going on from an older position is what that means.
            self.where = self.where.replace(why=f"{why}; its position: {error.strerror}"[:300])
        else:
            self._kept = self.where


def behind(directory: str, where: Position) -> int:
    """How many entries of the ledger were not looked at for a sink yet."""
    try:
        return max(0, store.end(directory) - where.next)
    except LedgerError:
        return 0
