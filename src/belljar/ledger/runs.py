"""The runs of a ledger: which there are, and the records of one of them.

Looking for a run walks headers and decodes no payload but the few it has to.
"""

from __future__ import annotations

from belljar.errors import LedgerError
from belljar.ledger.entries import expand
from belljar.ledger.format import DECISIONS, EVENTS, START
from belljar.ledger.reader import Reader, Record
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from belljar.ledger.entries import Entry

_MOST_RUNS: Final = 100_000
_HEAD: Final = 32


class Run(Value):
    """One run: its id, the number of its START entry, when that was kept, and what it holds."""

    run: bytes
    number: int
    time: int
    data: dict[str, Any]

    @property
    def kind(self) -> str:
        """`run`, `watch`, or what else the START entry says."""
        kind = self.data.get("kind") or self.data.get("mode")
        return kind if isinstance(kind, str) else ""


def find(directory: str, name: str = "") -> Run:
    """The run whose id (hexadecimal) begins with `name`; the latest when that is empty.

    Raises `LedgerError` where there is none, or several.

    >>> find("/tmp/example", "3dd7f756").kind  # doctest: +SKIP
    'run'
    """
    found: dict[bytes, int] = {}
    wanted = name.lower()
    with Reader(directory) as reader:
        for _first, headers in reader.backwards():
            here: dict[bytes, int] = {}
            for _offset, kind, run, first, _count, _time, _body in headers:
                if kind == START and run.hex().startswith(wanted) and len(here) < _MOST_RUNS:
                    here.pop(run, None)
                    here[run] = first
            for run, first in reversed(here.items()):
                found.setdefault(run, first)
            # The latest is in the newest book that has any; a name must be the only one in all.
            if len(found) > (_MOST_RUNS if name else 0):
                break
    if not found:
        raise LedgerError(f"the ledger in {directory} has no run {name}".rstrip())
    if name and len(found) > 1:
        raise LedgerError(
            f"{len(found)} runs in {directory} begin with {name}: give more of its id"
        )
    run, number = next(iter(found.items()))
    return _run(directory, run, number)


def holding(directory: str, number: int) -> tuple[Run | None, bytes]:
    """The run that entry `number` belongs to, and its id; the run is None where its START entry
    is not in the ledger. Raises `LedgerError` when there is no such entry.
    """
    owner = b""
    with Reader(directory) as reader:
        for begins, headers in reader.backwards():
            if begins > number:
                continue
            starts: dict[bytes, int] = {}
            for _offset, kind, run, first, count, _time, _body in headers:
                if kind == START and len(starts) < _MOST_RUNS:
                    starts[run] = first
                if first <= number < first + count:
                    owner = run
                    break
            if not owner:
                break
            if owner in starts:
                return _run(directory, owner, starts[owner]), owner
    if owner:
        return None, owner
    raise LedgerError(f"the ledger in {directory} has no entry #{number}")


def last_decision(directory: str) -> int:
    """The number of the newest denial or alert. Raises `LedgerError` where there is none."""
    with Reader(directory) as reader:
        for _begins, headers in reader.backwards():
            found = [
                (first, run)
                for _offset, kind, run, first, _count, _time, _body in headers
                if kind == DECISIONS
            ]
            for first, run in reversed(found):
                if number := _last_of(directory, first, run):
                    return number
    raise LedgerError(f"the ledger in {directory} holds no denial and no alert")


def _last_of(directory: str, first: int, run: bytes) -> int:
    """The last entry of a record that is no mere call of what the host shares; 0 for none."""
    with Reader(directory) as reader:
        for record in reader.records(first, run):
            told = (one for one in expand(record) if type(one.data) is dict)
            return max((one.number for one in told if one.data.get("kind") != "call"), default=0)
    return 0


def records(directory: str, run: Run) -> Iterator[Record]:
    """The records of `run` in order, its START first."""
    with Reader(directory) as reader:
        yield from reader.records(run.number, run.run)


def picked(record: Record, wanted: Callable[[int, int], bool]) -> Iterator[Entry]:
    """The event entries of an EVENTS record whose process and number are `wanted`; the others are
    not decoded, which is what takes the time.
    """
    payload, at, number = record.payload, 0, record.first
    if record.kind != EVENTS:
        return
    while at + _HEAD <= len(payload):
        length = int.from_bytes(payload[at + 2 : at + 4], "little")
        pid = int.from_bytes(payload[at + 8 : at + 12], "little")
        seq = int.from_bytes(payload[at + 16 : at + 24], "little")
        if length < _HEAD:
            return
        if wanted(pid, seq):
            frame = payload[at : at + length]
            one = Record(record.offset, EVENTS, record.run, number, 1, record.time, frame)
            yield from expand(one)
        at += length
        number += 1


def _run(directory: str, run: bytes, number: int) -> Run:
    with Reader(directory) as reader:
        for record in reader.records(number):
            for entry in expand(record):
                if entry.number == number and isinstance(entry.data, dict):
                    return Run(run, number, entry.time, entry.data)
            break
    raise LedgerError(f"entry #{number} of {directory} is no START entry that can be read")
