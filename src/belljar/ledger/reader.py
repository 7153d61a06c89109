"""Reading the ledger and proving it whole, in constant memory, beside any number of writers.

A reader takes the lock, shared, only to learn the file's size: up to there every byte is final,
but for the torn end of a writer that was killed. It never changes anything.
"""

from __future__ import annotations

import fcntl
import os

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger.cursor import Cursor, Torn
from belljar.ledger.format import END, FILE_SIZE, KINDS, NAME, RECOVERED, START, hasher
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from belljar.ledger.cursor import Found

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
#: Unfinished runs that a report names; a ledger full of them must not fill the memory.
MOST_UNFINISHED: Final = 100_000


class Record(Value):
    """One record as it lies in the file; `payload` may hold anything a guest liked to say.

    `index` counts records from 0 over the whole ledger (-1 where the reader came from the end
    and does not know), `own` is the record's hash in the chain, `stored` how many bytes of
    payload the file has.
    """

    offset: int
    kind: int
    run: bytes
    first: int
    count: int
    time: int
    payload: bytes
    index: int = -1
    own: bytes = bytes(32)
    stored: int = 0

    @property
    def name(self) -> str:
        """`start`, `events`, `decisions`, `end`, ..."""
        return KINDS[self.kind]


class Report(Value):
    """What `verify` found: counts, bytes, and what is not finished.

    `complete` bytes verify; `torn` bytes behind them are what a killed writer left (`why` says
    how far it got). `unfinished` are runs that began and have no end: still running, or killed;
    `recovered` counts torn ends of the past that were kept in side files.
    """

    records: int
    entries: int
    runs: int
    complete: int
    torn: int
    why: str
    unfinished: tuple[bytes, ...]
    recovered: int
    head: bytes  # hash of the last whole record: pins everything before it


class Reader:
    """The ledger in `directory`, open for reading. Raises `LedgerError`, `LedgerCorrupt`.

    `records` may be called again to get what was appended meanwhile (that is how `tail -f`
    follows); `position` is the number of the next entry it will give.
    """

    def __init__(self, directory: str) -> None:
        self.path = os.path.join(directory, NAME)
        try:
            self._fd = os.open(self.path, _FLAGS)
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {self.path}: {error.strerror}") from error
        self._torn = ""
        try:
            self._size = self._snapshot()
            self._cursor: Cursor | None = None
            if self._size >= FILE_SIZE:
                self._cursor = Cursor(self._fd)
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    @property
    def position(self) -> int:
        """Number of the entry after the last record given."""
        return self._cursor.entry if self._cursor else 1

    def grown(self) -> bool:
        """Whether the file's size is another than when it was last looked at.

        Raises `LedgerError` when the file was deleted: nothing will come any more.
        """
        found = os.fstat(self._fd)
        if not found.st_nlink:
            raise LedgerError(f"cannot read the ledger {self.path}: it was deleted")
        return found.st_size != self._size

    def found(self, *, whole: bool = True) -> Iterator[Found]:
        """Checked records from here to the end as raw tuples; payloads live until the next one."""
        self._size = self._snapshot()
        cursor = self._cursor
        if cursor is None:
            if self._size < FILE_SIZE:
                self._torn = "its file header is cut short" if self._size else ""
                return
            cursor = self._cursor = Cursor(self._fd)
        self._torn = ""
        sha = hasher(self._size - cursor.offset)
        while True:
            try:
                step = cursor.step(self._size, sha, whole=whole)
            except (Torn, LedgerCorrupt):
                # A writer may have replaced a torn end while we read: look again, locked.
                try:
                    step = self._step_locked(cursor, whole)
                except Torn as torn:
                    self._torn = str(torn)
                    return
            if step is None:
                return
            yield step

    def records(self, start: int = 1) -> Iterator[Record]:
        """Records from the one that holds entry `start` on. Those before it are not all hashed."""
        if self.position < start:
            self._walk_to(start)
        for offset, kind, run, first, count, time, body in self.found():
            if first + count > start:
                cursor = self._cursor
                assert cursor is not None
                index = cursor.record - 2 if cursor.record else -1
                yield Record(
                    offset, kind, run, first, count, time, bytes(body), index, cursor.chain,
                    len(body),
                )  # fmt: skip

    def skip_to_last(self, entries: int) -> int:
        """Go before the last `entries` entries, from the end of the file; the first's number.

        Falls back to walking the headers from the beginning when the end is torn.
        """
        self._size = self._snapshot()
        cursor = self._cursor
        if cursor is None:
            return 1
        sha = hasher(0)
        if not cursor.last(self._size, sha):
            for _step in self.found(whole=False):
                pass
        wanted = max(1, cursor.entry - entries)
        end, first = cursor.offset, cursor.entry
        while first > wanted and (place := cursor.before(end)):
            cursor.offset, cursor.chain = place
            cursor.entry = cursor.record = 0
            found = cursor.step(self._size, sha, whole=False)
            if found is None:
                break
            end, first = found[0], found[3]
            cursor.offset, cursor.chain = place
            cursor.entry = first
        return wanted

    def verify(self) -> Report:
        """Walk everything from here; see `verify`."""
        records = entries = runs = recovered = 0
        unfinished: dict[bytes, None] = {}
        for _offset, kind, run, _first, count, _time, _body in self.found():
            records += 1
            entries += count
            if kind == START:
                runs += 1
                if len(unfinished) < MOST_UNFINISHED:
                    unfinished[run] = None
            elif kind == END:
                unfinished.pop(run, None)
            elif kind == RECOVERED:
                recovered += 1
        cursor = self._cursor
        complete = cursor.offset if cursor else 0
        head = cursor.chain if cursor else b""
        torn = self._size - complete
        return Report(
            records,
            entries,
            runs,
            complete,
            torn,
            self._torn,
            tuple(unfinished),
            recovered,
            head,
        )

    def _walk_to(self, start: int) -> None:
        """Walk headers until the next record is the one that holds entry `start`."""
        cursor = self._cursor
        if cursor is None:
            return
        before = cursor.offset, cursor.chain, cursor.entry, cursor.record
        for _step in self.found(whole=False):
            if cursor.entry > start:
                cursor.offset, cursor.chain, cursor.entry, cursor.record = before
                return
            before = cursor.offset, cursor.chain, cursor.entry, cursor.record

    def _snapshot(self) -> int:
        """The file's size while no writer is at work."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH)
            try:
                return os.fstat(self._fd).st_size
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {self.path}: {error.strerror}") from error

    def _step_locked(self, cursor: Cursor, whole: bool) -> Found | None:
        fcntl.flock(self._fd, fcntl.LOCK_SH)
        try:
            self._size = os.fstat(self._fd).st_size
            cursor.forget()
            return cursor.step(self._size, hasher(0), whole=whole)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)


def verify(directory: str) -> Report:
    """Prove the ledger in `directory` whole, up to its last complete record.

    Every bit of every complete record is checked, and the order of the records. What no look at
    the file alone can find: whole records missing at its very end, or an older whole copy in
    its place; compare `Report.head` with one noted elsewhere for that.
    Raises `LedgerCorrupt` naming the first record that does not verify, `LedgerError` when the
    ledger cannot be read.

    >>> verify("/tmp/example").torn  # doctest: +SKIP
    0
    """
    with Reader(directory) as reader:
        return reader.verify()


def read(directory: str, start: int = 1) -> Iterator[Record]:
    """Records of the ledger in `directory`, from the one that holds entry `start`, in order.

    Each is checked before it is given. A torn end is not given: `verify` tells of it.
    Raises `LedgerCorrupt` on arriving at a record that does not verify, `LedgerError`.

    >>> [record.name for record in read("/tmp/example")]  # doctest: +SKIP
    ['start', 'events', 'end']
    """
    with Reader(directory) as reader:
        yield from reader.records(start)
