"""Appending to the ledger: any number of processes and threads, one lock, one write each time.

On the hot path of `belljar run`: imports little, opens in well under a millisecond.
"""

from __future__ import annotations

import fcntl
import os
import time
from _thread import allocate_lock

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import recover
from belljar.ledger.cursor import Cursor, Torn
from belljar.ledger.deflate import stored
from belljar.ledger.format import (
    BOOK_SIZE,
    CLOSED,
    END,
    FILE_SIZE,
    NAME,
    RECOVERED,
    encode,
    file_header,
    hasher,
)
from belljar.ledger.notes import check, note
from belljar.ledger.use import check_owner, hold, missing, opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from belljar.ledger.folders import Held
    from belljar.ledger.notes import Item

    Stored = tuple[int, int, int, bytes]
    #: The items of one run, and its id; the same as they are stored.
    Group = tuple[Sequence[Item], bytes]
    Ready = tuple[Sequence[Stored], bytes]

_LEDGER: Final = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
NO_RUN: Final = bytes(16)
SYNC: Final = ("never", "batch", "always")
_LOOK_FOR_CLERK: Final = 5.0  # seconds: should it have been killed, the next append calls another


class Writer:
    """Opens the ledger in `directory`, makes it if there is none, and appends to it.

    What an earlier writer left torn is kept in a side file, cut off and recorded first. Safe to
    share between threads, and usable in a child after `fork` (which gets its own descriptor).
    `sync` says when the disk must have what was appended: before `append` returns (`always`); at
    every END record, on closing and, by the clerk, before each checkpoint (`batch`); or
    whenever the kernel likes (`never`). Only a crash of the machine makes a difference, not one
    of a process. The ledger's clerk, which signs, is called after the first append unless
    `clerk` is False; `book` is the size in bytes from which on the open book is closed. With
    `create` False, a ledger that is not there is an error.
    `missing` entries were signed and are not there: its end was cut off before it was opened.
    Raises `LedgerError` when the ledger cannot be opened, others can write it, or its end is
    neither whole nor merely torn: nothing runs unrecorded.

    >>> with Writer("/tmp/example") as ledger:  # doctest: +SKIP
    ...     ledger.append([(START, 1, payload)], run=os.urandom(16))
    [1]
    """

    _fd: int
    _held: Held | None
    _folder: int
    _use: int
    _pid: int
    _cursor: Cursor | None

    def __init__(
        self,
        directory: str,
        *,
        sync: str = "batch",
        clerk: bool = True,
        book: int = BOOK_SIZE,
        create: bool = True,
    ) -> None:
        if sync not in SYNC:
            raise ValueError(f"sync is one of {', '.join(SYNC)}, not {sync!r}")
        self.directory = directory
        self.path = os.path.join(directory, NAME)
        self._sync = sync
        self._clerk = clerk
        self._book = book
        self._create = create
        self._hashed = 0
        self._open()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def append(self, items: Sequence[Item], run: bytes, now: int | None = None) -> list[int]:
        """Append `items`, each (kind, number of entries, payload), of `run` (16 bytes), in order.

        All or none of them is recorded, in one write; `now` is nanoseconds since 1970. Returns
        the number of each item's first entry. A payload may have `MAX_PAYLOAD` bytes.
        Raises `LedgerError` when nothing could be recorded (disk full, ledger deleted, a
        payload too long) and `ValueError` for an unknown kind, an impossible count or run.
        """
        return self.append_all([(items, run)], now)[0]

    def append_all(self, groups: Sequence[Group], now: int | None = None) -> list[list[int]]:
        """`append` for several runs at once: all of the groups or none of them, in one write."""
        return self.append_stored([_ready(items, run) for items, run in groups], now)

    def append_stored(self, groups: Sequence[Ready], now: int | None = None) -> list[list[int]]:
        """`append_all` of items as they are stored: (kind, number of entries, flags, payload).

        For the collector, whose senders have deflated them. Nothing is checked here.
        """
        if self._pid != os.getpid():
            self._leave_parent()
        with self._mutex:
            if self._fd < 0:
                raise LedgerError(f"cannot append to {self.path}: it is closed")
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX)
                self._find_end()
                numbers = self._write(groups, time.time_ns() if now is None else now)
            except OSError as error:
                raise self._cannot("append to", error) from error
            finally:
                if self._fd >= 0:
                    fcntl.flock(self._fd, fcntl.LOCK_UN)
            self._synced = False
            ends = (item[0] == END for items, _run in groups for item in items)
            if self._sync == "always" or (self._sync == "batch" and any(ends)):
                self._to_disk()
            if self._clerk:
                self._call_clerk()
            return numbers

    def close(self) -> None:
        """Let go of the ledger, once the disk has it unless `sync` is `never`. Closing again does
        nothing. Raises `LedgerError` when the disk does not take it.
        """
        if self._pid != os.getpid():
            self._mutex = allocate_lock()
        with self._mutex:
            if self._fd < 0:
                return
            try:
                if self._sync != "never":
                    self._to_disk()
            finally:
                self._abandon()

    def _open(self) -> None:
        self._mutex = allocate_lock()
        self._pid = os.getpid()
        self._fd = self._folder = self._use = -1
        self._held = None
        self._look = 0.0
        self._called = self.missing = 0
        self._synced, self._limit, self._cursor = True, self._book, None
        try:
            self._held = opened(self.directory, make=self._create)
            self._folder = self._held.fd
            flags = _LEDGER | (os.O_CREAT if self._create else 0)
            self._fd = os.open(NAME, flags, 0o600, dir_fd=self._folder)
            check_owner(self._fd, self._folder, self.path)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            self.missing = max(missing(self._folder, self._find_end().entry), self.missing)
            self._tell_recovered()
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError as error:
            self._abandon()
            raise self._cannot("open", error) from error
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        self._reap()
        for descriptor in (self._fd, self._use):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._folder = self._use = -1
        self._held = None

    def _leave_parent(self) -> None:
        """After `fork`: a descriptor shared with the parent would share its lock, too."""
        self._called = 0
        self._abandon()
        self._open()

    def _find_end(self) -> Cursor:
        """The cursor, at the end of the open book, which is closed where it is long enough.

        The lock is held, in the end that of the book that is open then. Raises `OSError`.
        """
        while True:
            cursor = self._last_record()
            if cursor.closed:
                self._reopen(cursor)
            elif cursor.offset <= max(self._limit, cursor.start[2]) or not self._turn(cursor):
                return cursor

    def _last_record(self) -> Cursor:
        """The cursor, behind the last record, whoever wrote that."""
        found = os.fstat(self._fd)
        size, cursor = found.st_size, self._cursor
        if cursor is not None and size == cursor.offset and (found.st_nlink or cursor.closed):
            return cursor
        try:
            if cursor is None:
                if size < FILE_SIZE and found.st_nlink:
                    self._begin(size)
                    size = FILE_SIZE
                cursor = self._cursor = Cursor(self._fd)
            if size < cursor.offset:
                raise LedgerError(
                    f"cannot append to {self.path}: it became shorter "
                    f"({size} bytes, {cursor.offset} were written)"
                )
            cursor.forget()
            if not cursor.last(size, hasher(self._hashed)):
                while cursor.step(size, whole=False) is not None:
                    continue
        except LedgerCorrupt as error:
            raise LedgerError(
                f"cannot append to {self.path}: {error}; "
                "keep it for inspection and use another directory"
            ) from error
        except Torn:
            assert cursor is not None
            recover.cut(self._fd, self._folder, cursor.offset, size, time.time_ns())
            cursor.forget()
            self.missing = missing(self._folder, cursor.entry)  # before a record has that number
            self._tell_recovered()
        if not found.st_nlink and not cursor.closed:
            raise LedgerError(f"cannot append to {self.path}: it was deleted while in use")
        return cursor

    def _begin(self, size: int) -> None:
        """Write the first book's header, over one that a killed writer began."""
        from belljar.ledger.books import closed, name

        if there := closed(self._held or self.directory):
            raise LedgerError(
                f"cannot append to {self.path}: it is empty, but {name(there[-1])} is not the "
                "ledger's last book; restore it, or use another directory"
            )
        if size:
            recover.cut(self._fd, self._folder, 0, size, time.time_ns())
        os.fchmod(self._fd, 0o600)
        self._put(file_header(os.urandom(32), time.time_ns()), 0)
        if self._sync != "never":
            os.fsync(self._fd)
            os.fsync(self._folder)

    def _turn(self, cursor: Cursor) -> bool:
        """Close the open book. False where that cannot be, now: it stays open and grows."""
        from belljar.ledger import books

        first = cursor.start[4]
        index = cursor.record - 1 if cursor.record else books.count(self._fd, cursor.offset)
        group = [(CLOSED, 1, 0, note(book=first, records=index + 1))], NO_RUN
        now = time.time_ns()
        data, chain, _entry, _numbers = self._encoded([group], now)
        try:
            books.settle(self._folder, first)
            before = chain, cursor.entry + 1, index + 1
            books.prepare(self._folder, file_header(os.urandom(32), now, before))
        except OSError:
            # No hard links here, or no room: the next try is some megabytes away.
            self._limit = cursor.offset + max(self._book >> 4, 1)
            return False
        self._put(data, cursor.offset)
        books.replace(self._folder, self._fd)
        self._reopen(cursor)
        return True

    def _reopen(self, cursor: Cursor) -> None:
        """Leave the closed book, whose end `cursor` found, for the open one."""
        from belljar.ledger import books

        here = os.fstat(self._fd)
        there = os.stat(NAME, dir_fd=self._folder, follow_symlinks=False)
        if os.path.samestat(here, there):
            # Who closed it was killed before the next one was in its place.
            before = cursor.chain, cursor.entry, books.count(self._fd, cursor.offset)
            header = file_header(os.urandom(32), time.time_ns(), before)
            books.settle(self._folder, cursor.start[4])
            books.prepare(self._folder, header)
            books.replace(self._folder, self._fd)
        fd = os.open(NAME, _LEDGER, dir_fd=self._folder)
        os.close(self._fd)  # and with it goes the lock, which nobody needs any more
        self._fd, self._cursor, self._limit = fd, None, self._book
        check_owner(fd, self._folder, self.path)
        fcntl.flock(fd, fcntl.LOCK_EX)

    def _tell_recovered(self) -> None:
        """Record every side file that no record names. Killed in between, it is told twice."""
        for name, offset, length, digest in recover.untold(self._folder):
            payload = note(file=name, offset=offset, length=length, sha256=digest)
            self._write([([(RECOVERED, 1, 0, payload)], NO_RUN)], time.time_ns())
            recover.told(self._folder, name)

    def _write(self, groups: Sequence[Ready], now: int) -> list[list[int]]:
        """Write behind the cursor and move it. Raises `OSError`; then the file is as before."""
        cursor = self._cursor
        assert cursor is not None
        data, chain, entry, numbers = self._encoded(groups, now)
        self._put(data, cursor.offset)
        cursor.chain, cursor.entry = chain, entry
        cursor.offset += len(data)
        cursor.record += sum(map(len, numbers)) if cursor.record else 0
        return numbers

    def _encoded(
        self, groups: Sequence[Ready], now: int
    ) -> tuple[bytes, bytes, int, list[list[int]]]:
        """The bytes of `groups` as they are appended, the last record's hash, the number of the
        entry after them, and those of the first entry of each item."""
        cursor = self._cursor
        assert cursor is not None
        chain, entry = cursor.chain, cursor.entry
        parts: list[bytes] = []
        numbers: list[list[int]] = []
        for items, run in groups:
            firsts: list[int] = []
            for kind, count, flags, data in items:
                self._hashed += len(data)
                fields = kind, flags, run, entry, count, now
                more, chain = encode(cursor.seed, chain, hasher(self._hashed), fields, data)
                parts.extend(more)
                firsts.append(entry)
                entry += count
            numbers.append(firsts)
        return b"".join(parts), chain, entry, numbers

    def _put(self, data: bytes, end: int) -> None:
        """One write. What does not get there wholly is cut back to `end`. Raises `OSError`."""
        try:
            done = os.write(self._fd, data)
            while done < len(data):
                done += os.write(self._fd, memoryview(data)[done:])
        except BaseException:
            os.ftruncate(self._fd, end)
            raise

    def _to_disk(self) -> None:
        """Wait until the disk has what this writer wrote since the last time."""
        if self._synced:
            return
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise self._cannot("bring to disk", error) from error
        self._synced = True

    def _call_clerk(self) -> None:
        """Say that somebody writes, and see to it that there is a clerk. Neither may cost a record
        that is already kept: where it cannot be done, records stay unsigned, as `verify` tells.
        """
        now = time.monotonic()
        if now < self._look:
            return
        self._look = now + _LOOK_FOR_CLERK
        from belljar.ledger.tree.summon import summon

        try:
            if self._use < 0:
                self._use = hold(self._folder)
            self._reap()
            self._called = self._called or summon(self._held or self.directory)
        except OSError:
            self._look = now + 10 * _LOOK_FOR_CLERK

    def _reap(self) -> None:
        """A clerk that this process started and that has ended leaves no zombie."""
        if self._called:
            with_us = True
            try:
                with_us = not os.waitpid(self._called, os.WNOHANG)[0]
            except ChildProcessError:
                with_us = False  # somebody else waited for it
            self._called = self._called if with_us else 0

    def _cannot(self, what: str, error: OSError) -> LedgerError:
        return LedgerError(f"cannot {what} the ledger {self.path}: {error.strerror}")


def _ready(items: Sequence[Item], run: bytes) -> Ready:
    """`items` as they will be stored: deflating is done before anybody waits for the lock."""
    check(items, run)
    return [(kind, count, *stored(kind, payload)) for kind, count, payload in items], run
