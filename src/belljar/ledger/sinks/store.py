"""What is kept of the sinks beside the ledger: `sinks/<id>.json`, `sinks/<id>.at`, `sinks/ledger`.

`<id>.json` says what a sink is, `<id>.at` how far it got. Both are replaced as a whole, after the
disk has the new one, so a crash leaves the older or the newer. What cannot be read is never
guessed: a sink without a readable position starts at its registration again (at least once).
"""

from __future__ import annotations

import json
import os

from belljar.errors import LedgerError
from belljar.ledger.sinks.config import Sink, parse
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

FOLDER: Final = "sinks"
_MOST_BYTES: Final = 1 << 20
_MOST_SINKS: Final = 64
MOST_RUNS: Final = 4096
_LONGEST_WHY: Final = 300
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Registered(Value):
    """A sink of a ledger: from which entry on, and whether it gets runs that did not name it."""

    sink: Sink
    first: int = 1
    every_run: bool = True


class Position(Value):
    """How far a sink got. `next` is the first entry that it may not have.

    `own` is the hash of the record that holds the entry before (hexadecimal; empty: unknown).
    `sent`, `filtered` and `lost` count entries; `counted` is the first entry that `totals` do not
    count yet. `runs` are those that named it and go on, `spans` the trace and span of threads.
    `state` is new, going, waiting, ended or refused, `why` one line where it is not going.
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


def add(directory: str, sink: Sink, *, every_run: bool, first: int = 0) -> Registered:
    """Register `sink` for the ledger in `directory`; the one there is, widened, where it is known.

    A new one begins at entry `first`, or at the end of the ledger as it is now.
    Raises `LedgerError`.
    """
    folder = os.path.join(directory, FOLDER)
    path = os.path.join(folder, f"{sink.id}.json")
    known = _registered(path)
    if known is not None and (known.every_run or not every_run):
        return known
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        if known is None and len(names(directory)) >= _MOST_SINKS:
            raise LedgerError(f"the ledger in {directory} has {_MOST_SINKS} sinks; remove one")
        begin = known.first if known is not None else first or end(directory)
        row: dict[str, Any] = {"sink": sink.text, "first": begin, "every-run": every_run}
        if sink.descriptor >= 0:
            row["descriptor"] = sink.id
        put(path, json.dumps(row).encode())
    except OSError as error:
        raise LedgerError(f"cannot register a sink in {folder}: {error.strerror}") from error
    return Registered(sink, begin, every_run)


def end(directory: str) -> int:
    """The number of the next entry of a ledger; 1 where there is none yet."""
    from belljar.ledger.reader import Reader

    try:
        with Reader(directory) as reader:
            return max(1, reader.skip_to_last(0))
    except LedgerError:
        if os.path.exists(os.path.join(directory, "ledger.blj")):
            raise
        return 1


def names(directory: str) -> list[str]:
    """The ids of the sinks that are registered, in order."""
    try:
        found = os.listdir(os.path.join(directory, FOLDER))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LedgerError(f"cannot read the sinks of {directory}: {error.strerror}") from error
    return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))


def load(directory: str, name: str) -> Registered | None:
    """The sink called `name`, None where it is gone or cannot be understood."""
    return _registered(os.path.join(directory, FOLDER, f"{name}.json"))


def position(directory: str, registered: Registered) -> Position:
    """Where a sink goes on: what its file says, else its registration, counted from there."""
    begin = Position(next=registered.first, counted=registered.first)
    row = _read(_at(directory, registered.sink.id))
    if row is None:
        return begin
    try:
        return _position(row)
    except (KeyError, TypeError, ValueError):
        return begin.replace(why="its position could not be read: it starts at its registration")


def save(directory: str, name: str, where: Position) -> None:
    """Keep a position; when this returns, the disk has it. Raises `OSError`."""
    row = {field: getattr(where, field) for field in Position.__fields__}
    put(_at(directory, name), json.dumps(row).encode())


def remove(directory: str, name: str) -> bool:
    """Forget a sink and its position; False where there is none."""
    found = False
    for path in (os.path.join(directory, FOLDER, f"{name}.json"), _at(directory, name)):
        try:
            os.unlink(path)
            found = True
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LedgerError(f"cannot remove {path}: {error.strerror}") from error
    return found


def ledger_id(directory: str) -> str:
    """What receivers know this ledger by, 16 hexadecimal digits, made when it is first asked for:
    with an entry's number it tells doubles from entries of other ledgers.
    """
    path = os.path.join(directory, FOLDER, "ledger")
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            temporary = f"{path}.{os.getpid()}.tmp"
            _write(temporary, os.urandom(8).hex().encode())
            try:
                os.link(temporary, path)
            except FileExistsError:
                pass  # another process was first: its name counts
            finally:
                os.unlink(temporary)
            continue
        try:
            data = os.read(descriptor, 17)
        finally:
            os.close(descriptor)
        if len(data) != 16 or not set(data) <= set(b"0123456789abcdef"):
            raise LedgerError(f"{path} is not the id of a ledger; remove it")
        return data.decode()


def put(path: str, data: bytes) -> None:
    """Replace a file as a whole. Raises `OSError`."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        _write(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(28, "No space left on device")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _at(directory: str, name: str) -> str:
    return os.path.join(directory, FOLDER, f"{name}.at")


def _read(path: str) -> dict[str, Any] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(f"cannot read {path}: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    try:
        row = json.loads(data) if len(data) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        row = None
    return row if type(row) is dict else {}


def _registered(path: str) -> Registered | None:
    from belljar.errors import UsageError

    row = _read(path)
    if row is None:
        return None
    text, first, every_run = row.get("sink"), row.get("first"), row.get("every-run")
    if type(text) is not str or type(first) is not int or type(every_run) is not bool:
        return None
    try:
        sink = parse(text)
    except UsageError:
        return None
    name = os.path.basename(path).removesuffix(".json")
    if sink.descriptor >= 0 and row.get("descriptor") == name:
        sink = sink.replace(id=name)  # it follows from the run, too
    if sink.id != name or not 0 < first < 1 << 63:
        return None
    return Registered(sink, first, every_run)


def _position(row: dict[str, Any]) -> Position:
    numbers = [row[n] for n in ("next", "sent", "filtered", "lost", "time", "counted")]
    if any(type(n) is not int or not 0 <= n < 1 << 63 for n in numbers) or not row["next"]:
        raise ValueError("a number")
    if any(type(row[n]) is not str for n in ("own", "state", "why")):
        raise TypeError("a text")
    totals = tuple((str(k), v) for k, v in row["totals"] if type(v) is int and v >= 0)
    runs = tuple(r for r in row["runs"][-MOST_RUNS:] if type(r) is str)
    spans = []
    for run, pid, thread, trace, span in row["spans"]:
        if type(pid) is not int or type(thread) is not int:
            raise TypeError("a span")
        spans.append((str(run), pid, thread, str(trace), str(span)))
    return Position(
        row["next"], row["own"], row["sent"], row["filtered"], row["lost"], row["state"],
        row["why"][:_LONGEST_WHY], row["time"], row["counted"], totals, runs, tuple(spans),
    )  # fmt: skip
