"""Appending to the ledger: any number of processes and threads, one lock, one write each time.

On the hot path of `belljar run`: imports little, opens in well under a millisecond.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from _thread import allocate_lock

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import recover
from belljar.ledger.cursor import Cursor, Torn
from belljar.ledger.format import (
    END,
    FILE_SIZE,
    KINDS,
    MAX_PAYLOAD,
    NAME,
    OWN,
    RECOVERED,
    SINGLE,
    encode,
    file_header,
    hasher,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    Item = tuple[int, int, bytes]
    #: The items of one run, and its id.
    Group = tuple[Sequence[Item], bytes]

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LEDGER: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
NO_RUN: Final = bytes(16)


class Writer:
    """Opens the ledger in `directory`, makes it if there is none, and appends to it.

    What an earlier writer left torn is kept in a side file, cut off and recorded first. Safe to
    share between threads, and usable in a child after `fork` (which gets its own descriptor).
    With `sync`, `close` and every END record wait until the disk has the file; without it, a
    crash of the machine (not of a process) may cost the last seconds.
    Raises `LedgerError` when the ledger cannot be opened, others can write it, or its end is
    neither whole nor merely torn: nothing runs unrecorded.

    >>> with Writer("/tmp/example") as ledger:  # doctest: +SKIP
    ...     ledger.append([(START, 1, payload)], run=os.urandom(16))
    [1]
    """

    _fd: int
    _folder: int
    _pid: int
    _cursor: Cursor | None

    def __init__(self, directory: str, *, sync: bool = False) -> None:
        self.directory = directory
        self.path = os.path.join(directory, NAME)
        self._sync = sync
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
        for items, run in groups:
            _check(items, run)
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
                fcntl.flock(self._fd, fcntl.LOCK_UN)
            if self._sync and any(item[0] == END for items, _run in groups for item in items):
                self._to_disk()
            return numbers

    def close(self) -> None:
        """Let go of the ledger; with `sync`, after the disk has it. Closing again does nothing."""
        if self._pid != os.getpid():
            self._mutex = allocate_lock()
        with self._mutex:
            if self._fd < 0:
                return
            try:
                if self._sync:
                    self._to_disk()
            finally:
                os.close(self._fd)
                os.close(self._folder)
                self._fd = self._folder = -1

    def _open(self) -> None:
        self._mutex = allocate_lock()
        self._pid = os.getpid()
        self._fd = self._folder = -1
        try:
            os.makedirs(self.directory, 0o700, exist_ok=True)
            self._folder = os.open(self.directory, _FOLDER)
            self._fd = os.open(NAME, _LEDGER, 0o600, dir_fd=self._folder)
            self._check_owner()
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                self._cursor = None
                self._find_end()
                self._tell_recovered()
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError as error:
            self._abandon()
            raise self._cannot("open", error) from error
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        for descriptor in (self._fd, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._folder = -1

    def _leave_parent(self) -> None:
        """After `fork`: a descriptor shared with the parent would share its lock, too."""
        self._abandon()
        self._open()

    def _check_owner(self) -> None:
        """Refuse a ledger that someone else can write: it would record nothing."""
        mine = (0, os.geteuid())
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            raise LedgerError(f"cannot open the ledger {self.path}: not a regular file")
        if (found.st_uid not in mine and mine[1] != 0) or found.st_mode & 0o022:
            raise LedgerError(
                f"cannot trust the ledger {self.path}: others can write it; "
                "use another directory or chmod 600 it"
            )
        folder = os.fstat(self._folder).st_mode
        if folder & 0o002 and not folder & stat.S_ISVTX:
            raise LedgerError(
                f"cannot trust the ledger directory {self.directory}: anyone can write it; "
                "use another or chmod 700 it"
            )

    def _find_end(self) -> None:
        """Bring the cursor to the end of the file, whoever wrote there. The lock is held."""
        found = os.fstat(self._fd)
        size = found.st_size
        cursor = self._cursor
        if cursor is not None and size == cursor.offset and found.st_nlink:
            return
        if not found.st_nlink:
            raise LedgerError(f"cannot append to {self.path}: it was deleted while in use")
        if cursor is None:
            if size < FILE_SIZE:
                self._begin(size)
                size = FILE_SIZE
            try:
                cursor = self._cursor = Cursor(self._fd)
            except LedgerCorrupt as error:
                raise self._unusable(error) from error
        if size < cursor.offset:
            raise LedgerError(
                f"cannot append to {self.path}: it became shorter "
                f"({size} bytes, {cursor.offset} were written)"
            )
        cursor.forget()
        if cursor.last(size, hasher(self._hashed)):
            return
        try:
            while cursor.step(size, whole=False) is not None:
                continue
        except LedgerCorrupt as error:
            raise self._unusable(error) from error
        except Torn:
            recover.cut(self._fd, self._folder, cursor.offset, size, time.time_ns())
            cursor.forget()
            self._tell_recovered()

    def _begin(self, size: int) -> None:
        """Write the file header, over one that a killed writer began."""
        if size:
            recover.cut(self._fd, self._folder, 0, size, time.time_ns())
        os.fchmod(self._fd, 0o600)
        self._put(file_header(os.urandom(32), time.time_ns()), 0)

    def _tell_recovered(self) -> None:
        """Record every side file that no record names. Killed in between, it is told twice."""
        for name, offset, length, digest in recover.untold(self._folder):
            payload = _recovered(name, offset, length, digest)
            self._write([([(RECOVERED, 1, payload)], NO_RUN)], time.time_ns())
            recover.told(self._folder, name)

    def _write(self, groups: Sequence[Group], now: int) -> list[list[int]]:
        """Write behind the cursor and move it. Raises `OSError`; then the file is as before."""
        cursor = self._cursor
        assert cursor is not None
        chain, entry = cursor.chain, cursor.entry
        parts: list[bytes] = []
        numbers: list[list[int]] = []
        for items, run in groups:
            numbers.append([])
            for kind, count, payload in items:
                self._hashed += len(payload)
                fields = (kind, run, entry, count, now)
                more, chain = encode(cursor.seed, chain, hasher(self._hashed), fields, payload)
                parts.extend(more)
                numbers[-1].append(entry)
                entry += count
        data = b"".join(parts)
        self._put(data, cursor.offset)
        cursor.chain, cursor.entry = chain, entry
        cursor.offset += len(data)
        cursor.record = 0
        return numbers

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
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise self._cannot("bring to disk", error) from error

    def _unusable(self, error: LedgerCorrupt) -> LedgerError:
        return LedgerError(
            f"cannot append to {self.path}: {error}; "
            "keep it for inspection and use another directory"
        )

    def _cannot(self, what: str, error: OSError) -> LedgerError:
        return LedgerError(f"cannot {what} the ledger {self.path}: {error.strerror}")


def _check(items: Sequence[Item], run: bytes) -> None:
    if len(run) != 16:
        raise ValueError(f"a run id has 16 bytes, not {len(run)}")
    for kind, count, payload in items:
        if kind not in KINDS or kind in OWN:
            raise ValueError(f"cannot append records of kind {kind}")
        if not 0 < count < 1 << 32 or (count != 1 and kind in SINGLE):
            raise ValueError(f"a record of kind {KINDS[kind]} cannot have {count} entries")
        if len(payload) > MAX_PAYLOAD:
            raise LedgerError(
                f"a record of {len(payload)} bytes is too long for the ledger "
                f"(at most {MAX_PAYLOAD}); nothing was recorded"
            )


def _recovered(name: str, offset: int, length: int, digest: str) -> bytes:
    """MessagePack of a RECOVERED payload: four short keys, so no encoder is needed for it."""

    def text(value: str) -> bytes:
        data = value.encode("ascii")
        return b"\xd9" + bytes((len(data),)) + data

    def number(value: int) -> bytes:
        return b"\xcf" + value.to_bytes(8, "big")

    pairs = (("file", text(name)), ("offset", number(offset)), ("length", number(length)))
    return b"\x84" + b"".join(text(k) + v for k, v in pairs) + text("sha256") + text(digest)
