"""Which runs there were in books that `prune` deleted, so that nobody begins one of them again.

For each deleted book `books/<first entry>.runs` stays: the magic `BJruns1` and a newline, of each
run that began in the book the first 8 bytes of its id, the SHA-256 of all that. It is written
before the book goes; one beside a book that is still there says nothing.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left

from belljar.errors import LedgerCorrupt
from belljar.ledger import folders, shelf
from belljar.ledger.books import FOLDER, first_of, name
from belljar.ledger.format import START, sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

_MAGIC: Final = b"BJruns1\n"
_SHORT: Final = 8
_DIGEST: Final = 32
_ENDING: Final = ".runs"
_MOST: Final = 1 << 24  # bytes: a book of the longest, full of nothing but beginnings, has fewer
#: Runs that `Seen` tells apart, and those that it names.
MOST_RUNS: Final = 1_000_000
_MOST_AGAIN: Final = 1000
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


def short(run: bytes) -> int:
    """What is kept of a run's id: ids are random, so that 8 bytes tell them apart.

    >>> short(bytes([1]) + bytes(15))
    1
    """
    return int.from_bytes(run[:_SHORT], "little")


def keep(directory: str, books: Iterable[int]) -> None:
    """Note the runs of the books that begin with these entries: they are about to be deleted.

    Raises `OSError`, `LedgerError`.
    """
    folder = folders.enter(directory, FOLDER)
    try:
        for first in books:
            _write(folder, _runs_of(directory, first), first)
        os.fsync(folder)
    finally:
        os.close(folder)


def _runs_of(directory: str, first: int) -> bytes:
    book = shelf.load(directory, name(first))
    parts = [_MAGIC]
    try:
        cursor = book.cursor
        while cursor is not None and (step := cursor.step(book.size, whole=False)) is not None:
            if step[1] == START:
                parts.append(step[2][:_SHORT])
    finally:
        os.close(book.fd)
    return b"".join(parts)


def _write(folder: int, data: bytes, first: int) -> None:
    target = os.path.basename(_file(first))
    fd = os.open(target + ".tmp", _NEW, 0o600, dir_fd=folder)
    with os.fdopen(fd, "wb") as file:
        file.write(data + sha256(data).digest())
        file.flush()
        os.fsync(fd)
    os.rename(target + ".tmp", target, src_dir_fd=folder, dst_dir_fd=folder)


def runs(directory: str, most: int = 0) -> array[int]:
    """`short` of the runs that began in deleted books; with `most` not (many) more than that of a
    ledger that may be anybody's. Raises `LedgerError`, and `LedgerCorrupt` for a file of them that
    is not as it was written.
    """
    found = array("Q")
    there = set(folders.names(directory, FOLDER))
    for file in sorted(there):
        book = file.removesuffix(_ENDING) + ".blj"
        if not file.endswith(_ENDING) or not first_of(book) or book in there:
            continue
        if most and len(found) >= most:
            break
        data = folders.read(directory, f"{FOLDER}/{file}", _MOST + 1)
        if data is not None:
            found.frombytes(_parsed(data, f"{FOLDER}/{file}"))
    return found


def summary(directory: str, before: int) -> tuple[int, str]:
    """How many such files there are of books that begin before entry `before`, and a SHA-256 over
    their entries and digests: a PRUNED record says so, and `check` compares.

    Raises `OSError`, `LedgerError`.

    >>> summary("/no/such/ledger", 1)[0]
    0
    """
    firsts = _firsts(directory, before)
    state = sha256(b"")
    folder = folders.enter(directory, FOLDER) if firsts else -1
    try:
        for first in firsts:
            fd = folders.open_at(folder, os.path.basename(_file(first)))
            try:
                end = max(0, os.fstat(fd).st_size - _DIGEST)
                state.update(b"%d %s\n" % (first, os.pread(fd, _DIGEST, end).hex().encode()))
            finally:
                os.close(fd)
    finally:
        if folder >= 0:
            os.close(folder)
    return len(firsts), state.hexdigest()


def check(directory: str, payload: bytes) -> None:
    """Compare the files with what the newest PRUNED record says of them. Raises `LedgerCorrupt`
    when one is missing, was added, or is another; `LedgerError`."""
    from belljar.ledger.pruned import former, parse

    said = former(payload)
    if said is None:
        return  # of an older Belljar, which did not say
    before, number, digest = said
    there = _firsts(directory, before)
    parsed = parse(payload)
    for one in parsed[1] if parsed else []:
        if one.book not in there:
            raise LedgerCorrupt(f"{_file(one.book)}, the runs of a deleted book, is missing", 0)
    if len(there) != number:
        what = f"{len(there)} files books/*{_ENDING} of deleted books are there, expected {number}"
        raise LedgerCorrupt(
            f"{what}: {'some are missing' if len(there) < number else 'not all ours'}", 0
        )
    try:
        found = summary(directory, before)
    except OSError as error:
        raise folders.cannot(directory, FOLDER, error) from error
    if found != (number, digest):
        raise LedgerCorrupt(f"the files books/*{_ENDING} of deleted books are not as they were", 0)


def _firsts(directory: str, before: int) -> list[int]:
    books = (
        first_of(file.removesuffix(_ENDING) + ".blj")
        for file in folders.names(directory, FOLDER)
        if file.endswith(_ENDING)
    )
    return sorted(first for first in books if 0 < first < before)


def _file(first: int) -> str:
    return name(first).removesuffix(".blj") + _ENDING


def _parsed(data: bytes, where: str) -> bytes:
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    sound = body.startswith(_MAGIC) and len(data) <= _MOST and not len(body) % _SHORT
    if not sound or sha256(body).digest() != digest:
        raise LedgerCorrupt(f"{where}, the runs of a deleted book, is not as it was written", 0)
    return body[len(_MAGIC) :]


class Seen:
    """The runs that a reader has seen begin; `again` are those that did so more than once.

    Remembers a million runs: of more, and of those before, it finds only some.

    >>> seen = Seen("/no/such/ledger")
    >>> seen.add(bytes(16)), seen.add(bytes(16)), list(seen.again) == [bytes(16)]
    (None, None, True)
    """

    __slots__ = ("_here", "_old", "again")

    def __init__(self, directory: str) -> None:
        self._old = array("Q", sorted(runs(directory, MOST_RUNS)))
        self._here: set[bytes] = set()
        self.again: dict[bytes, None] = {}

    def add(self, run: bytes) -> None:
        """`run` begins."""
        if run in self._here or holds(self._old, short(run)):
            if len(self.again) < _MOST_AGAIN:
                self.again[run] = None
        elif len(self._here) < MOST_RUNS:
            self._here.add(run)


def holds(ordered: array[int], number: int) -> bool:
    """Whether `number` is in `ordered`, which is sorted."""
    at = bisect_left(ordered, number)
    return at < len(ordered) and ordered[at] == number
