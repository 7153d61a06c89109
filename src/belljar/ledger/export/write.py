"""A ledger, or a part of it, for other systems: JSON lines, OCSF, SARIF, Parquet.

Read in constant memory, entry by entry. What does not decode is exported as such, never left
out. JSON is plain ASCII with one object a line; text that is no UTF-8 is spelled out (`\\\\udcff`),
so that every parser takes every line.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress

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
#: Links that the kernel makes of our own descriptors: nobody else put them there.
_OWN: Final = ("/dev/fd/", "/dev/stdout", "/proc/self/fd/")
_PART: Final = 1 << 20
_EPERM: Final = 1
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
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
    from belljar.ledger.query.columns import extra, opened
    from belljar.ledger.query.index import Index

    duckdb = extra()[0]
    wanted = selection or Selection()
    where, values = _where(wanted)
    with Index(directory, keep=index, progress=progress) as made:
        base = opened(made.path, read_only=True)
        try:
            # COPY takes no parameter for the file: quotes are doubled, nothing else is special.
            name = file.replace("'", "''")
            select = f"SELECT * FROM entries {where} ORDER BY entry"  # noqa: S608
            made_rows = base.execute(
                f"COPY ({select}) TO '{name}' (FORMAT parquet, COMPRESSION zstd,"
                " USE_TMP_FILE false)",
                values,
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


def to_file(path: str, write: Callable[[str], None], *, forwards: bool = False) -> None:
    """Let `write` fill a new file, then put it in the place of `path`, all of it or nothing.

    Only its owner can read it: it holds what the ledger holds. A FIFO or character device stays
    what it is and gets the bytes, as they come where `write` goes `forwards` only; one's own
    link is followed to a regular file and to nothing else, but for those of one's descriptors
    (`/dev/fd/N`). Raises `LedgerError`.

    >>> to_file("/nowhere/x", print)
    Traceback (most recent call last):
    ...
    belljar.errors.LedgerError: cannot write /nowhere/x: No such file or directory
    """
    import tempfile

    try:
        whole = _regular(path)
        if whole is not None:
            _replace(whole, write)
        elif forwards:
            write(path)
        else:
            with tempfile.TemporaryDirectory(prefix="belljar-export-") as folder:
                name = os.path.join(folder, "export")
                write(name)
                _through(name, path)
    except OSError as error:
        raise LedgerError(f"cannot write {path}: {error.strerror or error}") from error


def _replace(whole: str, write: Callable[[str], None]) -> None:
    """Let `write` fill a file beside `whole`, and put it there. By descriptors: the folder may be
    another user's, who changes names in it meanwhile. Raises `OSError`."""
    folder = os.open(os.path.dirname(whole), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    name = f".belljar-export-{os.urandom(8).hex()}"
    fd = -1
    try:
        fd = os.open(name, _NEW, 0o600, dir_fd=folder)
        write(f"/proc/self/fd/{fd}")
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not os.path.samestat(there, os.fstat(fd)):
            raise OSError(_EPERM, "somebody else changes the files there; name another folder")
        os.rename(name, os.path.basename(whole), src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        if fd >= 0:
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
        raise
    finally:
        for one in (fd, folder):
            if one >= 0:
                os.close(one)


def _regular(path: str) -> str | None:
    """The regular file to be replaced or made; None where `path` takes a stream of bytes.

    Raises `LedgerError` for what is neither, `OSError`.
    """
    whole = os.path.abspath(path)
    try:
        found = os.lstat(whole)
    except FileNotFoundError:
        return whole
    own = whole.startswith(_OWN)
    if stat.S_ISLNK(found.st_mode) and not own:
        ours = found.st_uid in (
            os.geteuid(),
            0,
        )  # another's link may lead to what only we can write
        whole = os.path.realpath(whole)
        try:
            found = os.lstat(whole)
        except FileNotFoundError:
            ours = False
        if not ours or not stat.S_ISREG(found.st_mode):
            raise LedgerError(
                f"cannot write {path}: it is a link, and not one of yours to a regular file; "
                "name the file itself"
            )
    elif own:
        found = os.stat(whole)
    if stat.S_ISREG(found.st_mode):
        return os.path.realpath(whole)
    if stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode):
        return None
    raise LedgerError(f"cannot write {path}: it is no file, no FIFO and no character device")


def _through(name: str, path: str) -> None:
    """The bytes of the file `name` into the FIFO or device `path`. Raises `OSError`."""
    follow = 0 if os.path.abspath(path).startswith(_OWN) else os.O_NOFOLLOW
    with open(name, "rb") as source:
        into = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | follow)
        try:
            while part := source.read(_PART):
                view = memoryview(part)
                while view:
                    view = view[os.write(into, view) :]
        finally:
            os.close(into)
