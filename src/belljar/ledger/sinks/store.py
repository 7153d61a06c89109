"""What is kept of the sinks beside the ledger: `sinks/<id>.json`, `sinks/<id>.at`, `sinks/ledger`.

`<id>.json` says what a sink is, `<id>.at` how far it got. Both are replaced as a whole, after the
disk has the new one, so a crash leaves the older or the newer. What cannot be read is never
guessed: a sink without a readable position starts at its registration again (at least once).

Each registration has a `turn`, and a position names the turn it is of: so what a process that is
still at work says of an older registration (before a reset, before it was removed) counts nothing.
"""

from __future__ import annotations

import json
import os

from belljar.errors import LedgerError, UsageError
from belljar.ledger.folders import there
from belljar.ledger.sinks.config import Sink, parse
from belljar.ledger.sinks.folder import FOLDER, Folder
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

MOST_SINKS: Final = 64
MOST_RUNS: Final = 4096
_LONGEST_WHY: Final = 300
_BOOK: Final = "ledger.blj"


class Registered(Value):
    """A sink of a ledger: from which entry on, and whether it gets runs that did not name it."""

    sink: Sink
    first: int = 1
    every_run: bool = True
    turn: str = ""


class Position(Value):
    """How far a sink got. `next` is the first entry that it may not have.

    `own` is the hash of the record that holds the entry before (hexadecimal; empty: unknown).
    `sent`, `filtered` and `lost` count entries; `counted` is the first entry that `totals` do not
    count yet. `runs` are those that named it and go on, `spans` the trace and span of threads.
    `turn` is the registration's. `state` is new, going, waiting, ended or refused, `why` one line
    where it is not going.
    """

    next: int = 1
    own: str = ""
    sent: int = 0
    filtered: int = 0
    lost: int = 0
    state: str = "new"
    why: str = ""
    time: int = 0
    counted: int = 1
    totals: tuple[tuple[str, int], ...] = ()
    runs: tuple[str, ...] = ()
    spans: tuple[tuple[str, int, int, str, str], ...] = ()
    turn: str = ""


def add(directory: str, sink: Sink, *, every_run: bool, first: int = 0) -> Registered:
    """Register `sink` for the ledger in `directory`; the one there is, widened, where it is known.

    A new one begins at entry `first`, or at the end of the ledger as it is now.
    Raises `LedgerError`; `UsageError` for a sink that writes into the ledger.
    """
    if sink.scheme == "jsonl" and sink.path and _beneath(sink.path, directory):
        raise UsageError(f"sink {sink.text!r}: its file would lie in the ledger itself")
    try:
        with Folder(directory, ours=True, make=True) as folder:
            known = _registered(folder, sink.id)
            if known is not None and (known.every_run or not every_run):
                return known
            if known is None and len(_ids(folder)) >= MOST_SINKS:
                raise LedgerError(f"the ledger in {directory} has {MOST_SINKS} sinks; remove one")
            begin = known.first if known is not None else first or end(directory)
            turn = known.turn if known is not None else _turn()
            made = Registered(sink, begin, every_run, turn)
            _keep(folder, made)
            return made
    except FileNotFoundError as error:
        raise LedgerError(f"there is no ledger in {directory}") from error
    except OSError as error:
        where = os.path.join(directory, FOLDER)
        raise LedgerError(f"cannot register a sink in {where}: {error.strerror}") from error


def reset(directory: str, name: str, first: int = 0) -> Registered:
    """Let the sink called `name` go on at entry `first`, or at the ledger's end.

    Its counters go on; entries that are skipped count as lost. Holds while it is being fed, too.
    Raises `LedgerError`.
    """
    try:
        with Folder(directory, ours=True) as folder:
            known = _registered(folder, name)
            if known is None:
                raise LedgerError(f"the sink {name} cannot be read; remove it and add it again")
            begin = Position(next=known.first, counted=known.first, turn=known.turn)
            folder.once(f"{name}.at", _row(begin))  # what is skipped is counted from somewhere
            made = known.replace(first=first or end(directory), turn=_turn())
            _keep(folder, made)
            return made
    except OSError as error:
        raise LedgerError(f"cannot reset {name}: {error.strerror}") from error


def end(directory: str) -> int:
    """The number of the next entry of a ledger; 1 where there is none yet."""
    from belljar.ledger.reader import Reader

    try:
        with Reader(directory) as reader:
            return max(1, reader.skip_to_last(0))
    except LedgerError:
        if there(directory, _BOOK):
            raise
        return 1


def names(directory: str, *, ours: bool = False) -> list[str]:
    """The ids of the sinks that are registered, in order. Raises `LedgerError`."""
    try:
        with Folder(directory, ours=ours) as folder:
            return _ids(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LedgerError(f"cannot read the sinks of {directory}: {error.strerror}") from error


def load(directory: str, name: str, *, ours: bool = False) -> Registered | None:
    """The sink called `name`, None where it is gone or cannot be understood.

    `ours`: it is about to be obeyed. Raises `LedgerError` for a file that is none, or not ours.
    """
    try:
        with Folder(directory, ours=ours) as folder:
            return _registered(folder, name)
    except FileNotFoundError:
        return None


def position(directory: str, registered: Registered, *, ours: bool = False) -> Position:
    """Where a sink goes on: what its file says, else its registration, counted from there."""
    begin = Position(next=registered.first, counted=registered.first, turn=registered.turn)
    try:
        with Folder(directory, ours=ours) as folder:
            data = folder.read(f"{registered.sink.id}.at")
    except FileNotFoundError:
        return begin
    except LedgerError as error:
        return begin.replace(why=str(error)[:_LONGEST_WHY])
    if data is None:
        return begin
    try:
        found = _position(_map(data))
    except (KeyError, TypeError, ValueError):
        return begin.replace(why="its position could not be read: it starts at its registration")
    if found.turn == registered.turn:
        return found
    return found.replace(
        next=registered.first, own="", state="new", why="", turn=registered.turn,
        lost=found.lost + max(0, registered.first - found.next),
        counted=max(found.counted, registered.first),
    )  # fmt: skip


def save(directory: str, name: str, where: Position) -> None:
    """Keep a position; when this returns, the disk has it. Nothing is kept for a sink that was
    removed. Raises `OSError`."""
    try:
        with Folder(directory, ours=True) as folder:
            known = _registered(folder, name)
            if known is not None and known.turn == where.turn:
                folder.put(f"{name}.at", _row(where))
    except LedgerError as error:
        raise OSError(1, str(error)) from error


def remove(directory: str, name: str) -> bool:
    """Forget a sink and its position; False where there is none."""
    found = False
    try:
        with Folder(directory, ours=True) as folder:
            for kind in ("json", "at"):
                found = folder.unlink(f"{name}.{kind}") or found
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LedgerError(f"cannot remove the sink {name}: {error.strerror}") from error
    return found


def ledger_id(directory: str) -> str:
    """What receivers know this ledger by, 16 hexadecimal digits, made when it is first asked for:
    with an entry's number it tells doubles from entries of other ledgers. Raises `LedgerError`.
    """
    with Folder(directory, ours=True) as folder:
        data = folder.read("ledger", 64)
        if data is None:
            folder.once("ledger", os.urandom(8).hex().encode())
            data = folder.read("ledger", 64) or b""
    if len(data) != 16 or not set(data) <= set(b"0123456789abcdef"):
        path = os.path.join(directory, FOLDER, "ledger")
        raise LedgerError(f"{path} is not the id of a ledger; remove it")
    return data.decode()


def _keep(folder: Folder, made: Registered) -> None:
    row: dict[str, Any] = {"sink": made.sink.text, "first": made.first}
    row |= {"every-run": made.every_run, "turn": made.turn}
    if made.sink.descriptor >= 0:
        row["descriptor"] = made.sink.id
    folder.put(f"{made.sink.id}.json", json.dumps(row).encode())


def _row(where: Position) -> bytes:
    return json.dumps({field: getattr(where, field) for field in Position.__fields__}).encode()


def _turn() -> str:
    return os.urandom(8).hex()


def _beneath(path: str, directory: str) -> bool:
    whole = os.path.join(os.path.realpath(directory), "")
    return os.path.join(os.path.realpath(path), "").startswith(whole)


def _ids(folder: Folder) -> list[str]:
    return [name.removesuffix(".json") for name in folder.names() if name.endswith(".json")]


def _map(data: bytes) -> dict[str, Any]:
    try:
        row = json.loads(data)
    except (ValueError, RecursionError):
        row = None
    return row if type(row) is dict else {}


def _registered(folder: Folder, name: str) -> Registered | None:
    data = folder.read(f"{name}.json")
    row = _map(data) if data is not None else {}
    text, first, every_run = row.get("sink"), row.get("first"), row.get("every-run")
    if type(text) is not str or type(first) is not int or type(every_run) is not bool:
        return None
    try:
        sink = parse(text)
    except UsageError:
        return None
    if sink.descriptor >= 0 and row.get("descriptor") == name:
        sink = sink.replace(id=name)  # it follows from the run, too
    turn = row.get("turn", "")
    if sink.id != name or not 0 < first < 1 << 63 or type(turn) is not str:
        return None
    return Registered(sink, first, every_run, turn)


def _position(row: dict[str, Any]) -> Position:
    numbers = [row[n] for n in ("next", "sent", "filtered", "lost", "time", "counted")]
    if any(type(n) is not int or not 0 <= n < 1 << 63 for n in numbers) or not row["next"]:
        raise ValueError("a number")
    if any(type(row[n]) is not str for n in ("own", "state", "why", "turn")):
        raise TypeError("a text")
    totals = tuple((str(k), v) for k, v in row["totals"] if type(v) is int and v >= 0)
    runs = tuple(bytes.fromhex(r).hex() for r in row["runs"][-MOST_RUNS:])
    spans = []
    for run, pid, thread, trace, span in row["spans"]:
        if type(pid) is not int or type(thread) is not int:
            raise TypeError("a span")
        spans.append((bytes.fromhex(run).hex(), pid, thread, str(trace), str(span)))
    return Position(
        row["next"], row["own"], row["sent"], row["filtered"], row["lost"], row["state"],
        row["why"][:_LONGEST_WHY], row["time"], row["counted"], totals, runs,
        tuple(spans), row["turn"],
    )  # fmt: skip
