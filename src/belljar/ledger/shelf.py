"""Finding and opening the books of a ledger for reading, while writers close them and `prune`
deletes them.
"""

from __future__ import annotations

import fcntl
import os

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import folders
from belljar.ledger.books import closed, name
from belljar.ledger.cursor import Cursor
from belljar.ledger.format import FILE_SIZE, NAME
from belljar.ledger.patience import share
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_TRIES: Final = 50


class Book(Value):
    """One book, open for reading; its cursor is None while it has no whole file header."""

    fd: int
    file: str
    size: int
    cursor: Cursor | None

    @property
    def first(self) -> int:
        """The number of its first entry."""
        return self.cursor.start[4] if self.cursor else 1


def held(directory: str) -> folders.Held:
    """The ledger's directory, held. Raises `LedgerError` where there is none."""
    try:
        return folders.held(directory)
    except OSError as error:
        raise _cannot(os.path.join(directory, NAME), error) from error


def load(directory: str, file: str) -> Book:
    """Open the book in `file`. Raises `FileNotFoundError`, `LedgerError`, `LedgerCorrupt`."""
    path = os.path.join(directory, file)
    folder, _, base = file.rpartition("/")
    try:
        inside = folders.enter(directory, folder)
        try:
            fd = folders.open_at(inside, base)
        finally:
            os.close(inside)
    except FileNotFoundError:
        raise
    except OSError as error:
        if folder:
            raise folders.cannot(directory, file, error) from error
        raise _cannot(path, error) from error
    try:
        size = locked_size(fd, path, directory)
        cursor = Cursor(fd, "" if file == NAME else file) if size >= FILE_SIZE else None
        book = Book(fd, file, size, cursor)
        if file != NAME and file != name(book.first):
            raise LedgerCorrupt(f"{file} is not the book that begins with entry {book.first}", 0)
    except BaseException:
        os.close(fd)
        raise
    return book


def locked_size(fd: int, path: str, directory: str) -> int:
    """The file's size while no writer is at work: up to there every byte is final (but where
    `patience.share` was refused). Raises `LedgerError`."""
    try:
        share(fd, path, directory)
        try:
            return os.fstat(fd).st_size
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)
    except OSError as error:
        raise _cannot(path, error) from error


def ends_whole(cursor: Cursor, size: int, directory: str) -> bool:
    """Whether a record ends at `size`, the end of the book that the torn record at `cursor` is in.
    Writers, who look from the end, go on behind it, and who looks from the beginning sees none of
    that. No writer that was killed leaves such an end.
    """
    if not share(cursor.fd, os.path.join(directory, cursor.name or NAME), directory):
        return False  # it may be just being written
    try:
        same = os.fstat(cursor.fd).st_size == size
        return same and Cursor(cursor.fd).last(size)
    finally:
        fcntl.flock(cursor.fd, fcntl.LOCK_UN)


def oldest(directory: str) -> Book:
    """The first book that is there. Raises `LedgerError` where there is none."""
    return _chosen(directory, 0)


def holding(directory: str, entry: int) -> Book:
    """The book that holds `entry`, or would; the oldest for those that were pruned."""
    return _chosen(directory, entry)


def newest(directory: str) -> Book:
    """The open book. Raises `LedgerError` where there is none."""
    return _present(directory, NAME)


def before(directory: str, first: int) -> Book | None:
    """The closed book before the one that begins with entry `first`; None where there is none."""
    for _ in range(_TRIES):
        earlier = [one for one in closed(directory) if one < first]
        if not earlier:
            return None
        try:
            return load(directory, name(earlier[-1]))
        except FileNotFoundError:
            continue  # pruned just now
    raise _unsteady(directory)


def after(directory: str, cursor: Cursor) -> Book | None:
    """The book that continues the closed one at `cursor`; None while that is still being closed.

    Raises `LedgerCorrupt` when there is none that does.
    """
    for _ in range(_TRIES):
        book = _present(directory, name(cursor.entry), NAME)
        if os.path.samestat(os.fstat(book.fd), os.fstat(cursor.fd)):
            os.close(book.fd)
            return None
        if book.first == cursor.entry:
            _continues(book, cursor)
            return book
        os.close(book.fd)
        if book.first < cursor.entry:
            break
        here = folders.there(directory, name(cursor.start[4]))
        later = [one for one in closed(directory) if one >= cursor.entry]
        if later and later[0] == cursor.entry:
            continue  # it was closed between two looks
        if not here:  # pruned while it was read, and more with it
            return _chosen(directory, cursor.entry)
        break
    raise LedgerCorrupt(
        f"the book that begins with entry {cursor.entry} is missing, and was not pruned: "
        f"it comes after {cursor.name or NAME}",
        cursor.offset,
    )


def stray(directory: str, passed: set[int]) -> int:
    """The first entry of a closed book that is none of those `passed` on the way from the oldest to
    the open one; 0 where there is none. Nobody wrote it, and who looks for an entry may open it.
    """
    there = closed(directory)
    book = newest(directory)  # later than the list: what was closed meanwhile comes before it
    os.close(book.fd)
    last = max(passed)
    odd = (one for one in there if one not in passed and not last < one <= book.first)
    return next(odd, 0)


def _chosen(directory: str, entry: int) -> Book:
    for _ in range(_TRIES):
        firsts = closed(directory)
        if entry:
            book = _present(directory, NAME)
            if book.first <= entry or not firsts:
                return book
            os.close(book.fd)
        file = name(
            max((one for one in firsts if one <= entry), default=firsts[0] if firsts else 0)
        )
        try:
            return load(directory, file) if firsts else _present(directory, NAME)
        except FileNotFoundError:
            continue  # pruned just now
    raise _unsteady(directory)


def _present(directory: str, *files: str) -> Book:
    """The first of `files` that is there."""
    for file in files:
        try:
            return load(directory, file)
        except FileNotFoundError as error:
            if file == files[-1]:
                raise _cannot(os.path.join(directory, file), error) from error
    raise AssertionError


def _continues(book: Book, cursor: Cursor) -> None:
    """Raise `LedgerCorrupt` unless `book` takes up the chain where `cursor` is."""
    assert book.cursor is not None
    _seed, _chain, _size, chain, _entry, index = book.cursor.start
    if chain != cursor.chain or (cursor.record and index != cursor.record - 1):
        os.close(book.fd)
        raise LedgerCorrupt(
            f"{book.file} does not continue {cursor.name or 'the book before'}: "
            f"its header names another record before entry {cursor.entry}",
            0,
        )


def _unsteady(directory: str) -> LedgerError:
    return LedgerError(f"cannot read the ledger {directory}: its books vanish while they are read")


def _cannot(path: str, error: OSError) -> LedgerError:
    why = error.strerror
    if isinstance(error, FileNotFoundError) and os.path.basename(path) == NAME:
        why = "there is none; `belljar run` and `watch` make one"
    return LedgerError(f"cannot read the ledger {path}: {why}")
