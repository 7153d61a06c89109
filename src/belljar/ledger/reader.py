"""Reading the ledger and proving it whole, in constant memory, beside any number of writers.

A reader takes the lock, shared, only to learn a file's size: up to there every byte is final,
but for the torn end of a writer that was killed. It never changes anything.
"""

from __future__ import annotations

import fcntl
import os

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import shelf
from belljar.ledger.books import name
from belljar.ledger.cursor import Cursor, Torn
from belljar.ledger.deflate import restored
from belljar.ledger.format import END, FILE_SIZE, KINDS, NAME, PRUNED, RECOVERED, START, hasher
from belljar.ledger.patience import share
from belljar.ledger.place import readable
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from belljar.ledger.cursor import Found

    #: first entry of the book, offset, chain, next entry, next record (from 1)
    Place = tuple[int, int, bytes, int, int]

#: Unfinished runs that a report names; a ledger full of them must not fill the memory.
MOST_UNFINISHED: Final = 100_000


class Record(Value):
    """One record; `payload` may hold anything a guest liked to say, `offset` is in its `book`.

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
    book: str = NAME

    @property
    def name(self) -> str:
        """`start`, `events`, `decisions`, `end`, ..."""
        return KINDS[self.kind]


class Report(Value):
    """What `verify` found: counts, bytes, and what is not finished.

    `complete` bytes of the open book verify; `torn` bytes behind them are what a killed writer
    left (`why` says how far it got). `unfinished` are runs that began and have no end: still
    running, or killed; `recovered` counts torn ends of the past that were kept in side files.
    `books` were read; the `pruned` entries before them were deleted, as a PRUNED record says.
    `again` are runs that began more than once: what has their id is not of one run.
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
    books: int = 1
    pruned: int = 0
    again: tuple[bytes, ...] = ()


class Reader:
    """The ledger in `directory`, open for reading. Raises `LedgerError`, `LedgerCorrupt`.

    `records` gives all books in order and may be called again to get what was appended meanwhile
    (that is how `tail -f` follows); `position` is the number of the next entry it will give.
    `first` is the number of the first entry that was there: those before it were pruned.
    """

    def __init__(self, directory: str) -> None:
        readable(directory)
        self.path = os.path.join(directory, NAME)
        self.directory = shelf.held(directory)
        self._torn = ""
        self._book = shelf.oldest(self.directory)
        self._size = self._book.size
        start = self._book.cursor.start if self._book.cursor else None
        self._begins = (start[3], start[4], start[5]) if start else (bytes(32), 1, 0)
        self.first = self._begins[1]
        self.books = 1
        self._passed = {self.first}

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the book that is open."""
        os.close(self._book.fd)

    @property
    def position(self) -> int:
        """Number of the entry after the last record given."""
        return self._book.cursor.entry if self._book.cursor else 1

    def place(self) -> Place:
        """Where this reader is, for `go` of a later one. Raises `LedgerError` in an empty file."""
        cursor = self._cursor()
        if cursor is None:
            raise LedgerError(f"cannot read the ledger {self.path}: it has no file header yet")
        return cursor.start[4], cursor.offset, cursor.chain, cursor.entry, cursor.record

    def go(self, place: Place) -> None:
        """Go where an earlier reader was: its `place`. A place that never was does not verify at
        the next record. Raises `LedgerError` when its book is gone.
        """
        first, offset, chain, entry, record = place
        self._turn_to(shelf.holding(self.directory, first))
        cursor = self._cursor()
        if cursor is None or cursor.start[4] != first or self._size < offset:
            raise LedgerError(f"the ledger in {self.directory} no longer has entry #{entry - 1}")
        cursor.offset, cursor.chain, cursor.entry, cursor.record = offset, chain, entry, record

    def grown(self) -> bool:
        """Whether there is more than when it was last looked.

        Raises `LedgerError` when the file was deleted: nothing will come any more.
        """
        found = os.fstat(self._book.fd)
        if found.st_size != self._size:
            return True
        cursor = self._book.cursor
        if cursor is not None and cursor.closed:
            return self._replaced()
        if not found.st_nlink:
            raise LedgerError(f"cannot read the ledger {self.path}: it was deleted")
        return False

    def found(self, *, whole: bool = True) -> Iterator[Found]:
        """Checked records from here to the end as raw tuples; payloads, as they are stored, live
        until the next one."""
        while True:
            self._torn = ""
            self._size = shelf.locked_size(self._book.fd, self.path, self.directory)
            cursor = self._cursor()
            if cursor is None:
                self._torn = "its file header is cut short" if self._size else ""
                return
            yield from self._steps(cursor, whole)
            if cursor.closed:
                book = shelf.after(self.directory, cursor)
                if book is None:
                    return
                self._turn_to(book)
                self.books += 1
                self._passed.add(book.first)
            elif not os.fstat(cursor.fd).st_nlink or not self._replaced():
                return
            elif self._size == os.fstat(cursor.fd).st_size:
                raise cursor.flaw("is missing: the book ends before it, and is not closed")

    def backwards(self) -> Iterator[tuple[int, Iterator[Found]]]:
        """The first entry and the headers of each book, in order, the newest book first."""
        self._turn_to(shelf.newest(self.directory))
        while (cursor := self._cursor()) is not None:
            yield cursor.start[4], self._steps(cursor, whole=False)
            book = shelf.before(self.directory, cursor.start[4])
            if book is None:
                return
            self._turn_to(book)

    def records(self, start: int = 1, only: bytes | None = None) -> Iterator[Record]:
        """Records from the one that holds entry `start` on; of the run `only`, where one is given.
        Those before it are not all hashed."""
        if self.position < start:
            self._walk_to(start)
        for offset, kind, run, first, count, time, body in self.found():
            if first + count > start and only in (None, run):
                cursor = self._cursor()
                assert cursor is not None
                yield Record(
                    offset,
                    kind,
                    run,
                    first,
                    count,
                    time,
                    restored(cursor.flags, body),
                    cursor.record - 2 if cursor.record else -1,
                    cursor.chain,
                    len(body),
                    self._book.file,
                )

    def skip_to_last(self, entries: int) -> int:
        """Go before the last `entries` entries, from the end of the ledger; the first's number.

        Falls back to walking the headers of a book from its beginning when the end is torn.
        """
        self._turn_to(shelf.newest(self.directory))
        cursor = self._to_end()
        if cursor is None:
            return 1
        wanted = max(1, cursor.entry - entries)
        while wanted < cursor.start[4] and (book := shelf.before(self.directory, cursor.start[4])):
            self._turn_to(book)
            cursor = self._to_end()
            assert cursor is not None
        wanted = max(wanted, cursor.start[4])
        end, first = cursor.offset, cursor.entry
        while first > wanted and end > cursor.start[2] and (place := cursor.before(end)):
            cursor.rewind(place)
            found = cursor.step(self._size, whole=False)
            if found is None:
                break
            end, first = found[0], found[3]
            cursor.rewind(place)
            cursor.entry = first
        return wanted

    def verify(self) -> Report:
        """Walk everything from here; see `verify`."""
        from belljar.ledger import former

        seen = former.Seen(self.directory)
        records = entries = runs = recovered = 0
        unfinished: dict[bytes, None] = {}
        covered = self.first == 1
        pruned = b""
        for _offset, kind, run, _first, count, _time, body in self.found():
            records += 1
            entries += count
            if kind == START:
                runs += 1
                seen.add(run)
                if len(unfinished) < MOST_UNFINISHED:
                    unfinished[run] = None
            elif kind == END:
                unfinished.pop(run, None)
            elif kind == RECOVERED:
                recovered += 1
            elif kind == PRUNED:
                pruned = bytes(body)
                covered = covered or self._covers(body)
        if not covered:
            raise LedgerCorrupt(
                f"entries 1 to {self.first - 1} are missing, and no record says they were pruned", 0
            )
        former.check(self.directory, pruned)
        if stray := shelf.stray(self.directory, self._passed):
            raise LedgerCorrupt(f"{name(stray)} is no book of this ledger: none leads to it", 0)
        cursor = self._book.cursor
        if (
            cursor is not None
            and self._torn
            and shelf.ends_whole(cursor, self._size, self.directory)
        ):
            raise cursor.flaw("is torn, and a whole one of this ledger lies behind it")
        complete = cursor.offset if cursor else 0
        return Report(
            records,
            entries,
            runs,
            complete,
            self._size - complete,
            self._torn,
            tuple(unfinished),
            recovered,
            cursor.chain if cursor else b"",
            self.books,
            self.first - 1,
            tuple(seen.again),
        )

    def _covers(self, body: memoryview) -> bool:
        """Whether this PRUNED record says that all before the first book was deleted."""
        from belljar.ledger.pruned import covers

        return covers(bytes(body), self._begins)

    def _cursor(self) -> Cursor | None:
        """The place in the book; it may have had no header when it was opened."""
        if self._book.cursor is None and self._size >= FILE_SIZE:
            self._book = self._book.replace(cursor=Cursor(self._book.fd))
        return self._book.cursor

    def _turn_to(self, book: shelf.Book) -> None:
        os.close(self._book.fd)
        self._book, self._size, self._torn = book, book.size, ""

    def _steps(self, cursor: Cursor, whole: bool) -> Iterator[Found]:
        """What there is from here to the end of this book."""
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

    def _to_end(self) -> Cursor | None:
        """Go to the end of this book."""
        cursor = self._cursor()
        if cursor is not None and not cursor.last(self._size, hasher(0)):
            for _step in self._steps(cursor, whole=False):
                pass
        return cursor

    def _walk_to(self, start: int) -> None:
        """Walk headers until the next record is the one that holds entry `start`."""
        book = shelf.holding(self.directory, start)
        cursor = self._cursor()
        if cursor is not None and cursor.start[4] == book.first:
            os.close(book.fd)
            self._size = book.size
        else:
            self._turn_to(book)
            cursor = self._cursor()
        if cursor is None:
            return
        before = cursor.offset, cursor.chain, cursor.entry, cursor.record
        for _step in self._steps(cursor, whole=False):
            if cursor.entry > start:
                cursor.offset, cursor.chain, cursor.entry, cursor.record = before
                return
            before = cursor.offset, cursor.chain, cursor.entry, cursor.record

    def _replaced(self) -> bool:
        """Whether another book is the open one. Raises `LedgerError` where there is none."""
        try:
            there = os.stat(NAME, dir_fd=self.directory.fd, follow_symlinks=False)
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {self.path}: {error.strerror}") from error
        return not os.path.samestat(there, os.fstat(self._book.fd))

    def _step_locked(self, cursor: Cursor, whole: bool) -> Found | None:
        share(cursor.fd, self.path, self.directory)
        try:
            self._size = os.fstat(cursor.fd).st_size
            cursor.forget()
            return cursor.step(self._size, hasher(0), whole=whole)
        finally:
            fcntl.flock(cursor.fd, fcntl.LOCK_UN)


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
