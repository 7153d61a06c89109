"""What a watched program does, turned into JSON lines or a summary while it runs.

Decoding costs ten times what recording does, so it is done when there is nothing to collect. A
program is slowed down by it only when it is far ahead, and even then not for events of which
there are many: those are in the record, and the summary says how many it did not look at.
"""

from __future__ import annotations

import time

from belljar._native import unskipped
from belljar.errors import GuestProtocolError
from belljar.events.decode import (
    BYE,
    EVENT,
    HELLO,
    LOSS,
    TRUNCATED,
    decode,
    decode_bye,
    decode_hello,
    decode_loss,
)
from belljar.events.syscalls import SYSCALL, decode_syscall
from belljar.report.effects import effect, tells_nothing
from belljar.report.summary import Summary
from belljar.watch.attribute import INTERPRETER, PROGRAM
from belljar.watch.mismatch import Mismatches
from belljar.watch.unheard import Unheard, start_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Any, Final

    from belljar.model import Event
    from belljar.report.effects import Effect
    from belljar.watch.attribute import Attribution
    from belljar.watch.collect import Chunk
    from belljar.watch.selection import Selection

_HEADER: Final = 32
_MOST_WAITING: Final = 16 << 20
_MANY_WAITING: Final = 8 << 10
_SLICE: Final = 0.002  # seconds
_PATIENCE: Final = 2.0  # seconds of looking at what is left when the program has ended
_FRAMES_AT_ONCE: Final = 200
_MOST_KNOWN: Final = 20_000
_LONGEST_KNOWN: Final = 1024
_MOST_THREADS: Final = 1 << 12
_BELOW: Final = (b"belljar.open", b"belljar.exec")  # the recorder's own, of C libraries
#: Left to the record when a program is far ahead: there may be any number of them.
_BULK: Final = frozenset(
    (b"open", b"import", b"exec", b"compile", b"os.listdir", b"os.scandir", b"sys._getframe")
)


class View:
    """Give it chunks by `take`, time by `work`, and call `finish` before the summary is read.

    `write` gets JSON lines; where it is None, events go into `summary` instead. `each` gets the
    right and package of every event that was decoded. Without `shadows`, nobody looks for files
    that are imported in place of standard modules. `refused` holds process and number of events
    that a rule refused, `recorded` is whether there is a record besides.
    """

    def __init__(
        self,
        summary: Summary,
        attribution: Attribution,
        selection: Selection,
        write: Callable[[dict[str, Any]], None] | None = None,
        each: Callable[[str | None, str], None] | None = None,
        *,
        shadows: bool = True,
        refused: Container[tuple[int, int]] = (),
        recorded: bool = True,
    ) -> None:
        self._recorded = recorded
        self.summary = summary
        self.broken = 0
        self.shed = 0
        self.shown = 0
        self._attribution, self._selection = attribution, selection
        self._write, self.each = write, each
        self._tells_begin = selection.wants("cpython.run_file")
        summary.chosen = not selection.everything
        self._skip: frozenset[bytes] = frozenset()
        if write is None and selection.everything:
            self._skip = tells_nothing() | (set() if shadows else {b"exec"})
        self._refused = refused
        self.unheard = Unheard()
        self.mismatches = Mismatches()
        self._starts: dict[bytes, tuple[str, tuple[str, ...]]] = {}
        self._latest: dict[tuple[int, int], str] = {}  # package of a thread's latest frame
        self._known: dict[bytes, tuple[str | None, str, Effect]] = {}
        self._waiting: list[Chunk] = []
        self._places: list[tuple[int, int]] | None = None  # of the oldest chunk, once known
        self._at = self._size = 0

    def take(self, chunks: list[Chunk]) -> None:
        """Keep chunks for later; when there are many, decode as long as a collector that has just
        emptied its FIFO may be away."""
        for chunk in chunks:
            self._waiting.append(chunk)
            self._size += len(chunk.data)
        if self._size > _MANY_WAITING:
            until = time.monotonic() + _SLICE
            while self.work() and time.monotonic() < until:
                continue
        while self._size > _MOST_WAITING and self._waiting:
            if self._write is None:
                self._shed()
            while self.work(whole=True):
                continue

    def work(self, *, whole: bool = False) -> bool:
        """Decode some of what waits, or the `whole` of the oldest chunk; False when nothing is
        left (of it)."""
        if not self._waiting:
            return False
        chunk = self._waiting[0]
        if self._places is None:
            self._places = self._interesting(chunk, self._skip)
        data = chunk.data
        begin = self._at
        self._at += _FRAMES_AT_ONCE  # first: what could not be looked at is not tried again
        for offset, length in self._places[begin : self._at]:
            try:
                self._frame(data[offset : offset + length])
            except GuestProtocolError:
                self.broken += 1
        if self._at < len(self._places):
            return True
        self._size -= len(data)
        self._at, self._places = 0, None
        del self._waiting[0]
        return bool(self._waiting) and not whole

    def finish(self) -> None:
        """Decode all that waits; but nobody waits long for a summary."""
        until = time.monotonic() + _PATIENCE
        while self.work():
            if self._waiting and self._write is None and time.monotonic() > until:
                self._shed()
        if self.shed:
            self.summary.notes.append(
                f"{self.shed} opens, imports and the like came too fast to be looked at"
                + ("; the record has them" if self._recorded else "")
            )

    def _interesting(self, chunk: Chunk, skip: frozenset[bytes]) -> list[tuple[int, int]]:
        """The places of frames that mean something here, in order."""
        events = unskipped(chunk.data, skip)
        kinds = (HELLO, BYE) if self._write is None else (HELLO, BYE, LOSS, SYSCALL)
        marks = [place for place in chunk.flagged if chunk.data[place[0] + 4] in kinds]
        return sorted([*events, *marks]) if marks else events

    def _shed(self) -> None:
        """Take what is left of the oldest chunk without events of which there may be many."""
        chunk = self._waiting[0]
        before = self._places
        if before is None:
            before = self._interesting(chunk, self._skip)
        left = before[self._at :]
        few = set(self._interesting(chunk, self._skip | _BULK))
        self._places = [place for place in left if place in few]
        self.shed += len(left) - len(self._places)
        self._at = 0

    def _frame(self, frame: bytes) -> None:
        kind = frame[4]
        if kind == EVENT:
            self._event(frame)
        elif kind == HELLO:
            hello = decode_hello(frame)
            self.summary.processes.hello(hello)
            self.unheard.hello(hello)
            runs = hello.forked or not self._tells_begin
            self.summary.packages.begins(hello.header.pid, runs=runs)
            for one in [one for one in self._latest if one[0] == hello.header.pid]:
                del self._latest[one]  # a process of that number before it
            self._attribution.learn(hello.executable, hello.python)
            self._line("hello", hello)
        elif kind == BYE:
            bye = decode_bye(frame)
            self.summary.processes.bye(bye.header.pid, bye.header.seq, bye.header.time)
            self._line("bye", bye)
        elif kind == LOSS:
            self._line("loss", decode_loss(frame))
        elif kind == SYSCALL and self._write is not None:
            self._write(decode_syscall(frame).plain())

    def _event(self, frame: bytes) -> None:
        pid = int.from_bytes(frame[8:12], "little")
        thread = int.from_bytes(frame[12:16], "little")
        seq = int.from_bytes(frame[16:24], "little")
        self.summary.processes.event(pid, seq, int.from_bytes(frame[24:32], "little"))
        refused = (pid, seq) in self._refused
        body = frame[_HEADER:] + frame[5:6]
        known = None if refused else self._known.get(body)
        if known is None:
            event = decode(frame)
            if not self._selection.shows(event):
                return
            event = event.replace(refused=True) if refused else event
            differs = not frame[5] & TRUNCATED and self.mismatches.look(event)
            start = start_of(event)
            if start is not None and not refused and len(self._starts) < _MOST_KNOWN:
                self._starts[body] = start
            label = self._attribution.of(event)
            if label == PROGRAM and event.stack and not event.stack[0].file.startswith("<"):
                self.summary.packages.begins(pid, runs=True)  # also where no event said so
            if self._write is not None:
                label = self._whose(pid, thread, label, body)
                self._line("event", event.replace(package=label))
                known = (event.right, label, ())
            else:
                known = self._learn(event, label, body, keep=not differs)
        right, label, what = known
        if right == "run" and body in self._starts:
            self.unheard.started(pid, self._starts[body])
        label = self._whose(pid, thread, label, body)
        self.shown += 1
        if self.summary.chosen:
            self.summary.processes.choose(pid)
        self.summary.packages.apply(pid, thread, label, what)
        if self.each is not None:
            self.each(right, label)

    def _whose(self, pid: int, thread: int, label: str, body: bytes) -> str:
        """What C code does, without a frame, is the doing of whoever was there just before."""
        if label == INTERPRETER:
            if body[2:].startswith(_BELOW):
                return self._latest.get((pid, thread), label)
        elif self._latest.get((pid, thread)) != label:
            if len(self._latest) >= _MOST_THREADS:
                self._latest.clear()
            self._latest[pid, thread] = label
        return label

    def _learn(
        self, event: Event, label: str, body: bytes, *, keep: bool
    ) -> tuple[str | None, str, Effect]:
        self.summary.refused += event.refused
        known = (event.right, label, effect(event))
        if keep and len(body) <= _LONGEST_KNOWN and not event.refused:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[body] = known
        return known

    def _line(self, kind: str, value: Any) -> None:
        if self._write is not None:
            from belljar.ledger.entries import plain

            line = plain(value)
            self._write({"kind": kind, **line.pop("header", {}), **line} | {"kind": kind})
