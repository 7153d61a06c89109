"""Deleting old books so that the ledger still proves what it holds and says what it lost.

First a PRUNED record names the books with their leaf ranges, sizes and digests, and the disk has
it; then they are deleted, oldest first. Killed anywhere, the next `prune` deletes what is named.
Their leaves stay in the tree's tiles: a book goes only when a checkpoint covers it.
"""

from __future__ import annotations

import fcntl
import os

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import folders, former, shelf
from belljar.ledger.books import FOLDER, closed, name
from belljar.ledger.cursor import Torn
from belljar.ledger.format import NAME, PRUNED, hasher
from belljar.ledger.pruned import Gone, pack, parse
from belljar.ledger.reader import Reader
from belljar.ledger.use import opened
from belljar.ledger.writer import NO_RUN, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: Books in one record: some 300 bytes each, and a ledger with more of them is pruned in turns.
_MOST: Final = 10_000
_CHUNK: Final = 1 << 20


def prune(directory: str, before: int, *, tree: int | None = None) -> list[Gone]:
    """Delete the closed books of the ledger in `directory` all of whose records are older than
    `before` (ns since 1970); what was deleted now, with that of a pruning that was cut short.

    Books go from the oldest on, up to the first that is not old enough: the open one never.
    `tree` is the number of records that checkpoints cover; None reads the ledger's `checkpoint`.
    Raises `LedgerError` where another prunes, where a book is not covered yet, or where
    one does not verify (it is then left alone: it may be evidence).

    >>> prune("/tmp/example", before=0)  # doctest: +SKIP
    []
    """
    if not closed(directory):
        with Reader(directory):
            return []
    directory, folder = _enter(directory)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerError(f"the ledger in {directory} is being pruned already") from None
        gone = _unfinished(directory)
        _delete(folder, gone)
        while old := _old(directory, before):
            _check_covered(directory, old, covered(directory) if tree is None else tree)
            former.keep(directory, (one.book for one in old))
            with Writer(directory, sync="always") as writer:
                runs = former.summary(directory, old[-1].book + old[-1].entries)
                writer.append([(PRUNED, 1, pack(before, old, runs))], NO_RUN)
            _delete(folder, old)
            gone += old
        return gone
    except OSError as error:
        raise LedgerError(f"cannot prune the ledger in {directory}: {error.strerror}") from error
    finally:
        os.close(folder)


def _enter(directory: str) -> tuple[folders.Held, int]:
    """The ledger, held, and a descriptor of its closed books, once it is known to be this user's
    alone."""
    try:
        held = opened(directory)
        return held, folders.enter(held, FOLDER)
    except OSError as error:
        raise folders.cannot(directory, FOLDER, error) from error


def covered(directory: str) -> int:
    """How many records the newest checkpoint covers: the second line of `checkpoint`; 0 where there
    is none. Raises `LedgerError` when that file says nothing.
    """
    path = os.path.join(directory, "checkpoint")
    data = folders.read(directory, "checkpoint", 4096)
    if data is None:
        return 0
    lines = data.split(b"\n")
    if len(lines) < 3 or not lines[1].isdigit() or len(lines[1]) > 18:
        raise LedgerError(f"cannot read the checkpoint {path}: its second line is no size")
    return int(lines[1])


def _check_covered(directory: str, old: list[Gone], tree: int) -> None:
    needed = old[-1].index + old[-1].records
    if tree < needed:
        raise LedgerError(
            f"the newest checkpoint of {directory} covers {tree} records, and {needed} would be "
            "needed to prove the rest later: run `belljar log checkpoint` first"
        )


def _unfinished(directory: str) -> list[Gone]:
    """Books that a PRUNED record names and that are still there."""
    found: dict[int, Gone] = {}
    there = set(closed(directory))
    with Reader(directory) as reader:
        records = (step for step in reader.found(whole=False) if step[1] == PRUNED)
        numbers = [step[3] for step in records]
    for number in numbers:
        with Reader(directory) as reader:
            for record in reader.records(number):
                parsed = parse(record.payload) if record.kind == PRUNED else None
                named = parsed[1] if parsed else []
                found |= {one.book: one for one in named if one.book in there}
                break
    return list(found.values())


def _old(directory: str, before: int) -> list[Gone]:
    """The books to go, oldest first."""
    old: list[Gone] = []
    for first in closed(directory)[:_MOST]:
        one = _look(directory, first, before)
        if one is None:
            break
        old.append(one)
    return old


def _look(directory: str, first: int, before: int) -> Gone | None:
    """Everything about a book, once it is proved whole; None when it is not old enough, or open."""
    book = shelf.load(directory, name(first))
    try:
        here = os.fstat(book.fd)
        cursor = book.cursor
        if cursor is None:
            raise LedgerCorrupt(f"the file header of {book.file} is cut short", 0)
        now = folders.status(directory, NAME)
        if now is None or os.path.samestat(here, now):
            return None
        sha = hasher(book.size)
        newest = 0
        try:
            while step := cursor.step(book.size, sha):
                newest = max(newest, step[5])
                if newest >= before:
                    return None
        except Torn as torn:
            raise cursor.flaw(str(torn)) from torn
        if not cursor.closed:
            raise cursor.flaw("is missing: the book ends before it, and is not closed")
        _seed, _chain, _size, previous, _first, index = cursor.start
        return Gone(
            first,
            cursor.entry - first,
            index,
            cursor.record - 1 - index,
            newest,
            book.size,
            _digest(book.fd),
            cursor.chain.hex(),
            previous.hex(),
        )
    finally:
        os.close(book.fd)


def _digest(fd: int) -> str:
    state, at = hasher(_CHUNK)(b""), 0
    while part := os.pread(fd, _CHUNK, at):
        state.update(part)
        at += len(part)
    digest: str = state.hexdigest()
    return digest


def _delete(folder: int, books: list[Gone]) -> None:
    """Oldest first, so that what stays is always one piece. Raises `OSError`."""
    for one in sorted(books, key=lambda one: one.book):
        os.unlink(os.path.basename(name(one.book)), dir_fd=folder)
        os.fsync(folder)
