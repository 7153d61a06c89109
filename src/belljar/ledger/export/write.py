"""A ledger, or a part of it, for other systems: JSON lines, OCSF, SARIF, Parquet.

Read in constant memory, entry by entry. What does not decode is exported as such, never left
out. JSON is plain ASCII with one object a line; text that is no UTF-8 is spelled out (`\\\\udcff`),
so that every parser takes every line.
"""

from __future__ import annotations

import json
import os

from belljar.errors import LedgerError
from belljar.ledger.entries import expand
from belljar.ledger.query.rows import sound
from belljar.ledger.reader import Reader
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from belljar.ledger.entries import Entry
    from belljar.ledger.query.index import Progress
    from belljar.ledger.reader import Record

FORMATS: Final = ("jsonl", "parquet", "ocsf", "sarif")
_EVENTS: Final = frozenset(("hello", "event", "bye", "loss", "syscall"))
_OF_RECORD: Final = {"events": _EVENTS, "decisions": frozenset(("decision",))}


class Selection(Value):
    """Which entries: recorded from `since` until before `until` (nanoseconds since 1970, by the
    host's clock), of runs whose id begins with `run` (hexadecimal), of these `kinds` (of all where
    there are none).
    """

    since: int | None = None
    until: int | None = None
    run: str = ""
    kinds: frozenset[str] = frozenset()

    def record(self, record: Record) -> bool:
        """Can `record` hold such an entry?"""
        if self.since is not None and record.time < self.since:
            return False
        if self.until is not None and record.time >= self.until:
            return False
        if not record.run.hex().startswith(self.run):
            return False
        may = _OF_RECORD.get(record.name, frozenset((record.name,))) | {"broken"}
        return not self.kinds or not self.kinds.isdisjoint(may)

    def entry(self, entry: Entry) -> bool:
        """Is `entry`, of such a record, one of them?"""
        return not self.kinds or entry.kind in self.kinds


def entries(directory: str, selection: Selection | None = None) -> Iterator[Entry]:
    """The entries of the ledger in `directory` that `selection` names, in order.

    Raises `LedgerError`, `LedgerCorrupt` on arriving at a record that does not verify.

    >>> [entry.number for entry in entries("/tmp/example", Selection(run="3d"))]  # doctest: +SKIP
    [1, 2, 3]
    """
    wanted = selection or Selection()
    with Reader(directory) as reader:
        for record in reader.records():
            if wanted.record(record):
                for entry in expand(record):
                    if wanted.entry(entry):
                        yield entry


def jsonl(directory: str, selection: Selection | None = None) -> Iterator[str]:
    """Our own form: a line that names the schema, then one entry a line, as `log tail --json`.

    >>> next(jsonl("/tmp/example"))
    '{"kind":"schema","schema":"belljar.ledger.entry","version":1}'
    """
    from belljar.ledger.export.schema import NAME, VERSION

    yield line({"kind": "schema", "schema": NAME, "version": VERSION})
    for entry in entries(directory, selection):
        yield line(entry.plain())


def ocsf_lines(directory: str, host: str, selection: Selection | None = None) -> Iterator[str]:
    """One OCSF event a line; see `belljar.ledger.export.ocsf`."""
    from belljar.ledger.export.ocsf import ocsf

    for entry in entries(directory, selection):
        yield line(ocsf(entry, host))


def sarif_parts(directory: str, selection: Selection | None = None) -> Iterator[str]:
    """One SARIF log of the denials and alerts, and of what does not decode, in parts; see
    `belljar.ledger.export.sarif`.
    """
    from belljar.ledger.export.sarif import sarif

    wanted = selection or Selection()
    if not wanted.kinds:
        wanted = wanted.replace(kinds=frozenset(("decision", "broken")))
    return sarif(entries(directory, wanted))


def line(value: dict[str, Any]) -> str:
    """`value` as one line of ASCII JSON.

    >>> line({"a": "\\x1b\\x7f\\u202e"})
    '{"a":"\\\\u001b\\\\u007f\\\\u202e"}'
    """
    return json.dumps(sound(value), separators=(",", ":")).replace("\x7f", "\\u007f")


def parquet(
    directory: str,
    file: str,
    selection: Selection | None = None,
    *,
    index: bool = True,
    progress: Progress | None = None,
) -> int:
    """Write the view `entries` (docs/query.md) as Parquet to `file`; how many rows.

    Needs the extra `query`. Raises `LedgerError` also where the file cannot be written.
    """
    from belljar.ledger.query.columns import extra
    from belljar.ledger.query.index import Index

    duckdb = extra()[0]
    wanted = selection or Selection()
    where, values = _where(wanted)
    with Index(directory, keep=index, progress=progress) as made:
        base = duckdb.connect(made.path, read_only=True)
        try:
            # COPY takes no parameter for the file: quotes are doubled, nothing else is special.
            name = file.replace("'", "''")
            select = f"SELECT * FROM entries {where} ORDER BY entry"  # noqa: S608
            made_rows = base.execute(
                f"COPY ({select}) TO '{name}' (FORMAT parquet, COMPRESSION zstd)", values
            ).fetchall()
            return int(made_rows[0][0])
        except duckdb.Error as error:
            raise LedgerError(f"cannot write {file}: {str(error).splitlines()[0]}") from error
        finally:
            base.close()


def _where(wanted: Selection) -> tuple[str, list[Any]]:
    terms: list[str] = []
    values: list[Any] = []
    for clause, value in (("recorded >= make_timestamp_ns(?)", wanted.since),
                          ("recorded < make_timestamp_ns(?)", wanted.until)):  # fmt: skip
        if value is not None:
            terms.append(clause)
            values.append(value)
    if wanted.run:
        terms.append("starts_with(run, ?)")
        values.append(wanted.run)
    if wanted.kinds:
        terms.append("list_contains(?, kind)")
        values.append(sorted(wanted.kinds))
    return ("WHERE " + " AND ".join(terms) if terms else ""), values


def to_file(path: str, write: Callable[[str], None]) -> None:
    """Let `write` fill a new file beside `path`, then put it in its place, all of it or nothing.

    Only its owner can read it: it holds what the ledger holds. Raises `LedgerError`.

    >>> to_file("/nowhere/x", print)
    Traceback (most recent call last):
    ...
    belljar.errors.LedgerError: cannot write /nowhere/x: No such file or directory
    """
    import tempfile

    whole = os.path.abspath(path)
    try:
        with tempfile.TemporaryDirectory(
            prefix=".belljar-export-", dir=os.path.dirname(whole)
        ) as folder:
            name = os.path.join(folder, "export")
            write(name)
            os.chmod(name, 0o600)
            os.replace(name, whole)
    except OSError as error:
        raise LedgerError(f"cannot write {path}: {error.strerror}") from error
