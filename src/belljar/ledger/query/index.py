"""The index that `belljar log query` asks: a DuckDB file in the user's cache, made from a ledger.

The ledger is the evidence; the index only answers fast. It notes the hash of the record that it
goes up to: where the ledger has another record there, the index is made anew. What is in it is
text and numbers for columns, and nothing of it is ever evaluated. Needs the extra `query`.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import shutil
import stat
import tempfile
from hashlib import sha256

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger.folders import real
from belljar.ledger.format import PRUNED
from belljar.ledger.query.columns import Columns, extra, opened
from belljar.ledger.query.views import TABLES, VERSION, VIEWS
from belljar.ledger.reader import Reader
from belljar.ledger.shelf import held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from belljar.ledger.reader import Record

    #: entries done, entries in all (0: not known)
    Progress = Callable[[int, int], None]

FILE: Final = "index.duckdb"
_ROWS: Final = 245_760  # two of DuckDB's row groups
_BYTES: Final = 48 << 20
_BUILDING: Final = {
    "threads": "2",
    "memory_limit": "1GB",
    "pandas_analyze_sample": "0",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "preserve_insertion_order": "true",
}


def place(directory: str) -> str:
    """Where the index of the ledger in `directory` lies.

    `$XDG_CACHE_HOME/belljar/index/<digest of the ledger's path>`, else beneath `~/.cache`.

    >>> os.path.dirname(place("/tmp/example")).endswith("/belljar/index")
    True
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = os.path.expanduser("~/.cache")
    name = sha256(os.fsencode(real(directory))).hexdigest()[:32]
    return os.path.join(cache, "belljar", "index", name)


class Index:
    """The index of the ledger in `directory`, brought up to date; `path` is its file.

    With `keep=False` it is made in a private directory that `close` deletes: nothing that was
    there before is looked at. While it is open, nobody else changes it.
    Raises `LedgerError` (also where the extra is missing), `LedgerCorrupt`.

    >>> with Index("/tmp/example") as index:  # doctest: +SKIP
    ...     index.path
    '/home/me/.cache/belljar/index/.../index.duckdb'
    """

    def __init__(
        self, directory: str, *, keep: bool = True, progress: Progress | None = None
    ) -> None:
        extra()
        directory = held(directory)
        self._progress = progress or (lambda _done, _all: None)
        self._lock = -1
        self._temporary = ""
        try:
            if keep:
                self._folder = place(directory)
                self._take(self._folder)
            else:
                self._folder = self._temporary = tempfile.mkdtemp(prefix="belljar-index-")
            self.path = os.path.join(self._folder, FILE)
            if not (keep and self._is_current(directory)):
                self._refresh_or_drop(directory)
            if self._lock >= 0:
                fcntl.flock(self._lock, fcntl.LOCK_SH)
        except OSError as error:
            self.close()
            where = error.filename or self._folder
            raise LedgerError(f"cannot use the index in {where}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others change the index; delete one that is not kept."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = ""

    def _take(self, folder: str) -> None:
        """The directory, nobody else's, and the lock in it."""
        os.makedirs(folder, 0o700, exist_ok=True)
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise LedgerError(
                f"cannot trust the index in {folder}: others can write it; "
                "delete it, or use --no-index"
            )
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._lock = os.open(os.path.join(folder, "lock"), flags, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def _is_current(self, directory: str) -> bool:
        """Does the index go up to the ledger's last record? From the end: in no time."""
        try:
            with _open(self.path, read_only=True) as base:
                known = _state(base)
        except (OSError, _error()):
            return False
        if known is None:
            return False
        now = (1, b"")
        with Reader(directory) as reader:
            for last in reader.records(reader.skip_to_last(1)):
                now = last.first + last.count, last.own
        return now == known[:2]

    def _refresh_or_drop(self, directory: str) -> None:
        """Of a ledger that is broken no index stays: what it begins with is no answer."""
        try:
            self._refresh(directory)
        except LedgerCorrupt:
            for name in (FILE, f"{FILE}.wal"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._folder, name))
            raise

    def _refresh(self, directory: str) -> None:
        """Bring the index up to date, or make it anew where it is of another ledger."""
        try:
            if os.path.exists(self.path) and self._go_on(directory):
                return
        except _error():
            pass  # whatever is wrong with the file: it goes
        for name in (FILE, FILE + ".wal"):
            path = os.path.join(self._folder, name)
            if os.path.lexists(path):
                os.unlink(path)
        with _open(self.path) as base:
            os.chmod(self.path, 0o600)
            for statement in (*TABLES, *VIEWS):
                base.execute(statement)
            base.execute("INSERT INTO raw.state VALUES (?, 1, ?, 0)", [VERSION, b""])
            with Reader(directory) as reader, _no_cycles():
                self._fill(base, reader, (1, b"", 0), directory)

    def _go_on(self, directory: str) -> bool:
        with _open(self.path) as base:
            known = _state(base)
            if known is None:
                return False
            with Reader(directory) as reader, _no_cycles():
                return self._fill(base, reader, known, directory)

    def _fill(
        self, base: Any, reader: Reader, known: tuple[int, bytes, int], directory: str
    ) -> bool:
        """Take the records from the next entry on; False where the one before is another."""
        entry, own, bodies = known
        columns = Columns(base, bodies)
        last: Record | None = None
        end = 0
        for record in reader.records(max(1, entry - 1)):
            if record.first < entry:
                if record.first + record.count != entry or record.own != own:
                    return False
                own = b""
                continue
            if own or (known[1] and record.kind == PRUNED):
                return False  # what was pruned must go from here, too
            if not end:
                end = _end(directory)
            columns.take(record)
            last = record
            if columns.rows >= _ROWS or columns.size >= _BYTES:
                self._flush(base, columns, record)
                self._progress(record.first + record.count - 1, end)
        if own:
            return False
        if last is not None:
            self._flush(base, columns, last)
            self._progress(last.first + last.count - 1, end)
        return True

    def _flush(self, base: Any, columns: Columns, last: Record) -> None:
        """What was taken, and how far it goes: both or nothing."""
        base.execute("BEGIN")
        columns.flush()
        base.execute(
            "UPDATE raw.state SET entry = ?, own = ?, bodies = ?",
            [last.first + last.count, last.own, columns.bodies.next],
        )
        base.execute("COMMIT")


@contextlib.contextmanager
def _no_cycles() -> Iterator[None]:
    """Without the collector of cycles: it would look at millions of tuples that have none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _end(directory: str) -> int:
    """The number of the ledger's last entry, for the progress only."""
    try:
        with Reader(directory) as reader:
            reader.skip_to_last(1)
            return reader.position
    except LedgerError:
        return 0


def _open(path: str, *, read_only: bool = False) -> Any:
    return opened(path, read_only=read_only, config=_BUILDING)


def _error() -> type[Exception]:
    found: type[Exception] = extra()[0].Error
    return found


def _state(base: Any) -> tuple[int, bytes, int] | None:
    """Next entry, hash of the last record, next body; None for an index of another version."""
    found = base.execute("SELECT version, entry, own, bodies FROM raw.state").fetchall()
    if len(found) != 1 or found[0][0] != VERSION:
        return None
    entry, own, bodies = found[0][1:]
    return entry, own, bodies
