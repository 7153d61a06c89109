"""Rows into DuckDB, as numpy columns: what makes the index quick to build."""

from __future__ import annotations

from belljar.errors import LedgerError
from belljar.ledger.entries import expand
from belljar.ledger.format import EVENTS
from belljar.ledger.query.rows import BODY, Bodies, code, number, text, text_of_json
from belljar.ledger.query.views import DECISIONS, ENDS, STARTS
from belljar.ledger.starts import Started

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.ledger.entries import Entry
    from belljar.ledger.query.rows import Numbers
    from belljar.ledger.reader import Record

_DTYPES: Final = {"number": "i8", "real": "f8"}
_NO_TIME: Final = 1 << 63  # numpy's NaT: times that no column can hold
_MASKS: Final = ("pid", "thread", "seq", "run")
_NUMBERS: Final = {"refused": "number", "line": "number", "bytes": "bytes"}
_BODY: Final = {name: _NUMBERS.get(name, "text") for name in BODY}


def extra() -> tuple[Any, Any]:
    """duckdb and numpy. Raises `LedgerError` that names the extra where they are missing."""
    from importlib import import_module

    try:
        return import_module("duckdb"), import_module("numpy")
    except ImportError as error:
        raise LedgerError(
            f"this needs {error.name}: install it with pip install 'belljar[query]'"
        ) from None


def opened(path: str, *, read_only: bool = False, config: dict[str, str] | None = None) -> Any:
    """A connection to the DuckDB file at `path` that draws nothing.

    Without this DuckDB draws a progress bar on standard output, into the answer, after two seconds.
    """
    base = extra()[0].connect(path, read_only=read_only, config=config or {})
    base.execute("SET enable_progress_bar = false")
    return base


class Columns:
    """Collects records as columns for the DuckDB connection `base`; `flush` inserts them.

    `rows` and `size` (bytes, about) say how much waits.
    """

    def __init__(self, base: Any, bodies: int = 0) -> None:
        self._base = base
        self._numpy = np = extra()[1]
        self._head = np.dtype(
            [("magic", "<u2"), ("length", "<u2"), ("kind", "u1"), ("flags", "u1"),
             ("version", "<u2"), ("pid", "<u4"), ("thread", "<u4"), ("seq", "<u8"),
             ("time", "<u8")]
        )  # fmt: skip
        self.bodies = Bodies(bodies)
        self._runs: dict[bytes, int] = {
            bytes.fromhex(run): at for at, run in base.execute("FROM raw.run_ids").fetchall()
        }
        self._clear()

    def _clear(self) -> None:
        self.rows = self.size = 0
        self._parts: dict[str, list[Any]] = {
            name: [] for name in
            ("entry", "kind", "time", "recorded", "run", "pid", "thread", "seq", "body")
        }  # fmt: skip
        self._single: list[tuple[Any, ...]] = []
        self._decisions: list[tuple[Any, ...]] = []
        self._starts: list[tuple[Any, ...]] = []
        self._ends: list[tuple[Any, ...]] = []
        self._new_runs: list[tuple[int, str]] = []

    def take(self, record: Record) -> None:
        """Collect the entries of `record`, whatever is in it."""
        self.rows += record.count
        self.size += len(record.payload)
        found = self.bodies.frames(record) if record.kind == EVENTS else None
        if found is not None:
            self._frames(found)
            return
        for entry in expand(record):
            self._entry(entry)

    def flush(self) -> None:
        """Insert what was collected. Raises DuckDB's errors."""
        np = self._numpy
        self._singles()
        if self._parts["entry"]:
            parts = {name: np.concatenate(each) for name, each in self._parts.items()}
            for name in _MASKS:
                parts[name] = np.ma.masked_equal(parts[name], 0)
            self._insert("facts", parts)
        if self.bodies.rows:
            first = self.bodies.next - len(self.bodies.rows)
            named: dict[str, Any] = {"id": np.arange(first, self.bodies.next, dtype="u4")}
            self._insert("bodies", named | self._typed(_BODY, self.bodies.rows))
            self.bodies.rows.clear()
        for table, kinds, rows in (
            ("decisions", _kinds(DECISIONS), self._decisions),
            ("starts", _kinds(STARTS), self._starts),
            ("ends", _kinds(ENDS), self._ends),
            ("run_ids", {"id": "number", "run": "text"}, self._new_runs),
        ):
            if rows:
                self._insert(table, self._typed(kinds, rows))
        self._clear()

    def _frames(self, found: Numbers) -> None:
        np = self._numpy
        record, count = found.record, len(found.bodies)
        head = np.frombuffer(found.heads, dtype=self._head)
        entry = np.arange(record.first, record.first + count, dtype="u8")
        body = np.array(found.bodies, dtype="i8")
        for place, one in found.other:
            body[place] = -1
            self._entry(one)
        keep = body >= 0
        if found.other:
            head, entry, body = head[keep], entry[keep], body[keep]
        count = len(body)
        kind = np.where(head["kind"] == 2, code("event"), code("syscall")).astype("u1")
        parts = self._parts
        parts["entry"].append(entry)
        parts["kind"].append(kind)
        parts["time"].append(self._times(head["time"]))
        parts["recorded"].append(self._times(np.full(count, record.time, dtype="u8")))
        parts["run"].append(np.full(count, self._run(record.run), dtype="u4"))
        for name in ("pid", "thread", "seq"):
            parts[name].append(head[name])
        parts["body"].append(body.astype("u4"))

    def _entry(self, entry: Entry) -> None:
        body = self.bodies.entry(entry)
        run = self._run(entry.run)
        self._single.append(
            (entry.number, code(entry.kind), entry.time, entry.recorded, run,
             entry.pid, entry.thread, entry.seq, body)
        )  # fmt: skip
        data = entry.data
        if not isinstance(data, dict):
            return
        into = {"decision": self._decisions, "start": self._starts, "end": self._ends}
        columns = {"decision": DECISIONS, "start": STARTS, "end": ENDS}
        if entry.kind in into:
            fixed = {"entry": entry.number, "time": entry.time, "run": entry.run.hex()}
            into[entry.kind].append(
                tuple(
                    fixed[name] if name in fixed else _value(data, key, wanted)
                    for name, (key, wanted) in columns[entry.kind].items()
                )
            )

    def _singles(self) -> None:
        """What came one by one, as columns, in the order of the entries."""
        np = self._numpy
        if not self._single:
            return
        kinds = ("u8", "u1", "time", "time", "u4", "u4", "u4", "u8", "u4")
        for into, kind, column in zip(
            self._parts.values(), kinds, zip(*self._single, strict=True), strict=True
        ):
            values = np.array(column, dtype="u8" if kind == "time" else kind)
            into.append(self._times(values) if kind == "time" else values)
        if any(len(into) > 1 for into in self._parts.values()):
            order = np.argsort(np.concatenate(self._parts["entry"]), kind="stable")
            for name, into in self._parts.items():
                self._parts[name] = [np.concatenate(into)[order]]

    def _times(self, values: Any) -> Any:
        np = self._numpy
        return np.where(values >= _NO_TIME - 1, np.uint64(_NO_TIME), values).view("M8[ns]")

    def _run(self, run: bytes) -> int:
        """The number of a run, 0 for none."""
        if not any(run):
            return 0
        at = self._runs.get(run)
        if at is None:
            at = self._runs[run] = len(self._runs) + 1
            self._new_runs.append((at, run.hex()))
        return at

    def _typed(self, kinds: dict[str, str], rows: list[tuple[Any, ...]]) -> dict[str, Any]:
        """Rows as columns that DuckDB takes without looking at each value.

        A column in which there is nothing is left out: it is NULL by itself.
        """
        np = self._numpy
        found: dict[str, Any] = {}
        for (name, kind), values in zip(kinds.items(), zip(*rows, strict=True), strict=True):
            if values[0] is None and values.count(None) == len(values):
                continue
            column = values
            if kind == "bytes":
                column = tuple(None if one is None else one.hex() for one in values)
            array = np.fromiter(column, dtype=object, count=len(column))
            if kind in _DTYPES:
                mask = np.equal(array, None)
                array = np.where(mask, 0, array).astype(_DTYPES[kind])
                array = np.ma.masked_array(array, mask=mask)
            found[name] = array
        return found

    def _insert(self, table: str, columns: dict[str, Any]) -> None:
        self._base.register("batch", columns)
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(
            f'make_timestamp_ns("{name}")' if name == "time" and table not in ("facts",)
            else f'unhex("{name}")' if name == "bytes" else f'"{name}"'
            for name in columns
        )  # fmt: skip
        self._base.execute(f"INSERT INTO raw.{table} ({names}) SELECT {values} FROM batch")  # noqa: S608
        self._base.unregister("batch")


def _kinds(columns: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: kind for name, (_, kind) in columns.items()}


def _value(data: dict[Any, Any], key: str, wanted: str) -> Any:
    """What a map that may hold anything says under `key`, as a column of type `wanted`."""
    if key == "*":
        from belljar.ledger.entries import plain

        return text_of_json(plain(data))
    if key[:1] == "@":
        return text(getattr(Started(data), key[1:])) or None
    name, _, at = key.partition(":")
    value = data.get(name)
    if at:
        value = value[int(at)] if isinstance(value, list) and len(value) > int(at) else None
    if wanted == "number":
        return number(value)
    if wanted == "real":
        return value if type(value) is float and abs(value) < 1e15 else number(value)
    return text(value)
