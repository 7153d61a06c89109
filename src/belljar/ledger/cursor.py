"""One walk over the records of a ledger file, for writers that look for its end and for readers.

A `Cursor` stands at the start of a record whose past it knows (the chain, the next entry
number). `step` checks the record there and goes to the next. It trusts nothing in the file.
"""

from __future__ import annotations

import os

from belljar.errors import LedgerCorrupt
from belljar.ledger.format import (
    FILE_SIZE,
    HEAD_SIZE,
    KINDS,
    MAGIC,
    MAX_PAYLOAD,
    OVERHEAD,
    RECORD,
    SINGLE,
    TAIL,
    VERSION,
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
    """A position in the ledger open at `fd`, at first behind its file header.

    `record` counts from 1 and is 0 where the cursor came from the end of the file; `entry` is
    the number the next entry must have, 0 where that is not known yet.
    Raises `LedgerCorrupt` when the file header does not verify.
    """

    __slots__ = ("_base", "_buffer", "_filled", "chain", "entry", "fd", "offset", "record", "seed")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        head = os.pread(fd, FILE_SIZE, 0)
        self.seed, self.chain = parse_file_header(head)
        self.offset = FILE_SIZE
        self.entry = 1
        self.record = 1
        self._buffer = bytearray()
        self._base = self._filled = 0

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
        if left < HEAD_SIZE:
            raise self._unfinished(start, limit, "its header is cut short")
        head = bytes(self._view(start, HEAD_SIZE, limit, AHEAD if whole else 4096))
        state = sha(self.seed + self.chain + head[: RECORD.size])
        if state.digest()[: HEAD_SIZE - RECORD.size] != head[RECORD.size :]:
            raise self._unfinished(start, limit, "its header does not verify")
        magic, version, kind, flags, run, first, count, length, time = RECORD.unpack_from(head)
        if magic != MAGIC or version != VERSION or flags or kind not in KINDS:
            raise self.flaw(f"is of a kind unknown to this version ({version}.{kind}.{flags})")
        if length > MAX_PAYLOAD or count == 0 or (count != 1 and kind in SINGLE):
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
        return start, kind, run, first, count, time, body

    def last(self, limit: int, sha: Hasher = sha256) -> bool:
        """Go behind the last record without walking the file; say whether that succeeded.

        Possible when the last record is whole. Its own hash is checked, not what lies before.
        """
        where = self.before(limit)
        if where is None:
            return False
        saved = self.offset, self.chain, self.entry, self.record
        self.offset, self.chain = where
        self.entry = self.record = 0
        try:
            if limit == FILE_SIZE:
                self.entry = self.record = 1
                return True
            return self.step(limit, sha) is not None
        except (Torn, LedgerCorrupt):
            self.offset, self.chain, self.entry, self.record = saved
            return False

    def before(self, end: int) -> tuple[int, bytes] | None:
        """Offset and chain of the record that ends at `end`, as its last four bytes tell it.

        None when they tell nothing possible. At the file header: the header's own end.
        """
        if end == FILE_SIZE:
            return FILE_SIZE, os.pread(self.fd, 32, FILE_SIZE - 32)
        if end < FILE_SIZE + OVERHEAD:
            return None
        total = int.from_bytes(os.pread(self.fd, 4, end - 4), "little")
        start = end - total
        if not OVERHEAD <= total <= OVERHEAD + MAX_PAYLOAD or start < FILE_SIZE:
            return None
        if start == FILE_SIZE:
            return start, os.pread(self.fd, 32, FILE_SIZE - 32)
        return start, os.pread(self.fd, 32, start - TAIL.size)

    def flaw(self, what: str) -> LedgerCorrupt:
        """The error that names the record here."""
        name = f"record {self.record}" if self.record else "the record"
        entry = f" (entry {self.entry})" if self.entry else ""
        return LedgerCorrupt(f"{name}{entry} at offset {self.offset} {what}", self.offset)

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
