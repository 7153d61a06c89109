"""One walk over the records of a ledger file, for writers that look for its end and for readers.

A `Cursor` stands at the start of a record whose past it knows (the chain, the next entry
number). `step` checks the record there and goes to the next. It trusts nothing in the file.
"""

from __future__ import annotations

import os
from errno import ENXIO

from belljar.errors import LedgerCorrupt
from belljar.ledger.format import (
    CLOSED,
    DEFLATED,
    EVENTS,
    HEAD_SIZE,
    KINDS,
    MAGIC,
    MAX_PAYLOAD,
    NEXT_SIZE,
    OVERHEAD,
    RECORD,
    SINGLE,
    TAIL,
    VERSION,
    most_entries,
    parse_file_header,
    sha256,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.ledger.format import Hasher

    #: offset, kind, run, first entry, entries, time, payload (valid until the next step)
    Found = tuple[int, int, bytes, int, int, int, memoryview]

AHEAD: Final = 1 << 20
_NO_PAYLOAD: Final = memoryview(b"")


class Torn(Exception):
    """From `offset` on the file holds the beginning of a record and no more."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class Cursor:
    """A position in the book open at `fd`, at first behind its file header.

    `record` counts from 1 over the whole ledger and is 0 where the cursor came from the end of
    the file; `entry` is the number the next entry must have, 0 where that is not known yet.
    `flags` are those of the record that `step` gave last. `name` is the book's, for messages.
    Raises `LedgerCorrupt` when the file header does not verify.
    """

    __slots__ = (
        "_base", "_buffer", "_closed_at", "_filled",
        "chain", "entry", "fd", "flags", "name", "offset", "record", "seed", "start",
    )  # fmt: skip

    def __init__(self, fd: int, name: str = "") -> None:
        self.fd = fd
        self.name = name
        try:
            self.start = parse_file_header(os.pread(fd, NEXT_SIZE, 0))
        except LedgerCorrupt as error:
            raise LedgerCorrupt(f"{error}{self._where()}", error.offset) from None
        self.seed, self.chain, self.offset, _before, self.entry, index = self.start
        self.record = index + 1
        self.flags = 0
        self._closed_at = 0
        self._buffer = bytearray()
        self._base = self._filled = 0

    @property
    def closed(self) -> bool:
        """Whether the record before this position closes the book."""
        return self.offset == self._closed_at

    def step(self, limit: int, sha: Hasher = sha256, *, whole: bool = True) -> Found | None:
        """Check the record here, move behind it and return it; None at `limit`, the file's size.

        With `whole=False` the payload is neither read nor checked, only header and length.
        Raises `LedgerCorrupt` when the record is not as it was written and `Torn` when the file
        ends inside it; the cursor then stays where it is.
        """
        start = self.offset
        left = limit - start
        if left <= 0:
            if left < 0:
                raise self.flaw("is gone: the file became shorter")
            return None
        if self.closed:
            raise self.flaw("follows the one that closes the book")
        if left < HEAD_SIZE:
            raise self._unfinished(start, limit, "its header is cut short")
        head = bytes(self._view(start, HEAD_SIZE, limit, AHEAD if whole else 4096))
        state = sha(self.seed + self.chain + head[: RECORD.size])
        if state.digest()[: HEAD_SIZE - RECORD.size] != head[RECORD.size :]:
            raise self._unfinished(start, limit, "its header does not verify")
        magic, version, kind, flags, run, first, count, length, time = RECORD.unpack_from(head)
        known = not flags or (flags == DEFLATED and kind == EVENTS)
        if magic != MAGIC or version != VERSION or not known or kind not in KINDS:
            raise self.flaw(f"is of a kind unknown to this version ({version}.{kind}.{flags})")
        if length > MAX_PAYLOAD or not 0 < count <= (1 if kind in SINGLE else most_entries(length)):
            raise self.flaw("has an impossible length or count")
        if self.entry and first != self.entry:
            raise self.flaw(f"begins with entry {first}, expected {self.entry}")
        end = start + OVERHEAD + length
        if end > limit:
            raise Torn(start, f"{left} of {OVERHEAD + length} bytes")
        body = _NO_PAYLOAD
        if whole:
            view = self._view(start, end - start, limit, AHEAD)
            body = view[HEAD_SIZE : HEAD_SIZE + length]
            state.update(body)
            tail = bytes(view[HEAD_SIZE + length :])
        else:
            tail = bytes(self._view(end - TAIL.size, TAIL.size, limit, 4096))
        own, total = TAIL.unpack(tail)
        if whole and state.digest() != own:
            if self._zero(end - TAIL.size, limit):
                raise Torn(start, "its end was never written")
            raise self.flaw("does not verify")
        if total != end - start:
            if self._zero(end - 4, limit):
                raise Torn(start, "its end was never written")
            raise self.flaw(f"says {total} bytes at its end, {end - start} at its start")
        self.offset = end
        self.chain = own
        self.entry = first + count
        self.record += self.record > 0
        self.flags = flags
        if kind == CLOSED:
            self._closed_at = end
        return start, kind, run, first, count, time, body

    def last(self, limit: int, sha: Hasher = sha256) -> bool:
        """Go behind the last record without walking the file; say whether that succeeded.

        Possible when the last record is whole. Its own hash is checked, not what lies before.
        """
        where = self.before(limit)
        if where is None:
            return False
        saved = self.offset, self.chain, self.entry, self.record
        self.rewind(where)
        try:
            if limit == self.start[2]:
                self.entry, self.record = self.start[4], self.start[5] + 1
                return True
            return self.step(limit, sha) is not None
        except (Torn, LedgerCorrupt):
            self.offset, self.chain, self.entry, self.record = saved
            return False

    def before(self, end: int) -> tuple[int, bytes] | None:
        """Offset and chain of the record that ends at `end`, as its last four bytes tell it.

        None when they tell nothing possible. At the file header: the header's own end.
        """
        _seed, chain, size, *_rest = self.start
        if end == size:
            return size, chain
        if end < size + OVERHEAD:
            return None
        total = int.from_bytes(os.pread(self.fd, 4, end - 4), "little")
        start = end - total
        if not OVERHEAD <= total <= OVERHEAD + MAX_PAYLOAD or start < size:
            return None
        return start, chain if start == size else os.pread(self.fd, 32, start - TAIL.size)

    def rewind(self, where: tuple[int, bytes]) -> None:
        """Go to `where` of `before`; which record and entry come there, the next step tells."""
        self.offset, self.chain = where
        self.entry = self.record = 0

    def flaw(self, what: str) -> LedgerCorrupt:
        """The error that names the record here."""
        name = f"record {self.record}" if self.record else "the record"
        entry = f" (entry {self.entry})" if self.entry else ""
        where = f"at offset {self.offset}{self._where()}"
        return LedgerCorrupt(f"{name}{entry} {where} {what}", self.offset)

    def _where(self) -> str:
        return f" of {self.name}" if self.name else ""

    def _unfinished(self, start: int, limit: int, what: str) -> Exception:
        """`Torn` if what is left may be the beginning of a header, else `LedgerCorrupt`.

        Zeros may follow: a machine that crashed leaves them where data never reached the disk.
        """
        head = os.pread(self.fd, min(HEAD_SIZE, limit - start), start).rstrip(b"\0")
        begun = head[: len(MAGIC)] == MAGIC[: len(head)]
        if begun and len(head) < HEAD_SIZE and self._zero(start + len(head), limit):
            return Torn(start, "its header is cut short")
        return self.flaw(what)

    def _zero(self, start: int, limit: int) -> bool:
        """Whether every byte from `start` to `limit` is zero."""
        while start < limit:
            try:
                start = os.lseek(self.fd, start, os.SEEK_DATA)  # a hole is not read
            except OSError as error:
                if error.errno == ENXIO:  # nothing but a hole from here on
                    return True
            if start >= limit:
                return True
            part = os.pread(self.fd, min(AHEAD, limit - start), start)
            if not part or part.count(0) != len(part):
                return False
            start += len(part)
        return True

    def forget(self) -> None:
        """Drop what was read ahead: behind the last whole record it may have been replaced."""
        self._filled = 0

    def _view(self, start: int, size: int, limit: int, ahead: int) -> memoryview:
        """`size` bytes at `start`; reads `ahead` so that small records cost no call each.

        Never beyond `limit`: a writer may just be at work there.
        """
        if not self._base <= start or start + size > self._base + self._filled:
            want = max(size, min(ahead, limit - start))
            if len(self._buffer) < want:
                self._buffer = bytearray(want)
            self._base, self._filled = start, 0
            view = memoryview(self._buffer)[:want]
            while self._filled < size:
                got = os.preadv(self.fd, [view[self._filled :]], start + self._filled)
                if got == 0:
                    raise self.flaw("vanished while it was read")
                self._filled += got
        at = start - self._base
        return memoryview(self._buffer)[at : at + size]
