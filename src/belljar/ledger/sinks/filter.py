"""Which entries a sink gets, and what they belong to: runs that named it, spans, totals."""

from __future__ import annotations

from belljar.ledger.entries import expand
from belljar.ledger.format import END, START
from belljar.ledger.sinks.fields import item
from belljar.ledger.sinks.severity import LEVELS, severity
from belljar.ledger.sinks.store import MOST_RUNS, Position

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from belljar.ledger.entries import Entry
    from belljar.ledger.reader import Record
    from belljar.ledger.sinks.fields import Item
    from belljar.ledger.sinks.store import Registered

#: The event by which `belljar.adapters.otel` tells a thread's trace and span.
CONTEXT: Final = "otel.context"
_MOST_SPANS: Final = 1 << 14
_SAVED_SPANS: Final = 512
_MOST_TOTALS: Final = 64
_NOTHING: Final = "0"
#: What a decision is counted as, by its kind.
_TOTALS: Final[dict[object, str]] = {"denial": "denials", "call": "calls"}


class Selection:
    """What one sink gets of the ledger. Give it every record in order.

    It remembers what an entry belongs to: which runs named the sink, and which span a thread is
    in; `position` hands that on, so that it goes on after a restart.
    """

    def __init__(self, registered: Registered, where: Position, ledger: str) -> None:
        sink = registered.sink
        self._id, self._ledger = sink.id, ledger
        self._every_run = registered.every_run
        self._rights = frozenset(sink.rights)
        self._least = LEVELS.index(sink.severity)
        self._runs = dict.fromkeys(bytes.fromhex(run) for run in where.runs)
        self._spans = {
            (bytes.fromhex(run), pid, thread): (trace, span)
            for run, pid, thread, trace, span in where.spans
        }
        self._totals = dict(where.totals)
        self._counted = where.counted
        self.ended = False  # whether the END of a run that the sink gets was seen

    def items(self, record: Record, start: int) -> Iterator[tuple[int, Item | None]]:
        """(number of the next entry, what is sent or None) for the entries from `start` on."""
        if not self._concerns(record):
            yield record.first + record.count, None
            return
        for entry in expand(record):
            if entry.number >= start:
                yield entry.number + 1, self._one(entry)
        if record.kind == END:
            self._runs.pop(record.run, None)
            self.ended = True

    def position(self, where: Position) -> Position:
        """`where` with what must be known to go on from there."""
        saved = list(self._spans.items())[-_SAVED_SPANS:]
        return where.replace(
            counted=self._counted,
            totals=tuple(self._totals.items()),
            runs=tuple(run.hex() for run in self._runs),
            spans=tuple((key[0].hex(), key[1], key[2], *value) for key, value in saved),
        )

    @property
    def totals(self) -> dict[str, int]:
        """What was counted so far, by name: `events:read`, `denials`, `drops`."""
        return self._totals

    def _concerns(self, record: Record) -> bool:
        if record.kind == START and not self._every_run:
            for entry in expand(record):
                named = entry.data.get("sinks") if isinstance(entry.data, dict) else None
                if isinstance(named, list) and self._id in named:
                    self._runs[record.run] = None
            if len(self._runs) > MOST_RUNS:  # the oldest were killed before they could end
                self._runs.pop(next(iter(self._runs)))
        return self._every_run or record.run in self._runs

    def _one(self, entry: Entry) -> Item | None:
        trace = span = ""
        if entry.kind == "event":
            key = entry.run, entry.pid, entry.thread
            if entry.data.name == CONTEXT:
                self._context(key, entry.data.args)
            trace, span = self._spans.get(key, ("", ""))
        elif entry.kind == "end":
            self._spans = {k: v for k, v in self._spans.items() if k[0] != entry.run}
        if entry.number >= self._counted:
            self._count(entry)
            self._counted = entry.number + 1
        if not self._wanted(entry):
            return None
        return item(entry, self._ledger, trace, span)

    def _wanted(self, entry: Entry) -> bool:
        if severity(entry) > self._least:
            return False
        if not self._rights or entry.kind not in ("event", "decision", "syscall"):
            return True
        return right_of(entry) in self._rights

    def _context(self, key: tuple[bytes, int, int], args: tuple[Any, ...]) -> None:
        """A thread tells where it is; a program may tell anything, so only what has the form."""
        self._spans.pop(key, None)
        if len(args) == 2 and _hexadecimal(args[0], 32) and _hexadecimal(args[1], 16):
            self._spans[key] = args[0], args[1]
            if len(self._spans) > _MOST_SPANS:
                self._spans.pop(next(iter(self._spans)))

    def _count(self, entry: Entry) -> None:
        name, number = "", 1
        if entry.kind == "event":
            name = f"events:{right_of(entry) or 'none'}"
        elif entry.kind == "decision":
            name = _TOTALS.get(entry.data.get("kind"), "alerts")
        elif entry.kind == "end":
            name = "drops"  # END knows of every drop of its run; hello and bye tell of some
            found = [entry.data.get(key) for key in ("drops", "missed", "unkept")]
            number = sum(n for n in found if type(n) is int and 0 < n < 1 << 48)
        elif entry.kind == "start":
            name = "runs"
        if name and number and (name in self._totals or len(self._totals) < _MOST_TOTALS):
            self._totals[name] = self._totals.get(name, 0) + number


def right_of(entry: Entry) -> str:
    """The right of an event, a decision or a system call, or an empty text."""
    data = entry.data
    found = data.get("right") if isinstance(data, dict) else getattr(data, "right", None)
    return found if type(found) is str else ""


def _hexadecimal(value: object, length: int) -> bool:
    return (
        type(value) is str
        and len(value) == length
        and set(value) <= set("0123456789abcdef")
        and value.strip(_NOTHING) != ""
    )
