"""The closed books of a ledger, and how the open one is closed so that it may be killed anywhere.

`ledger.blj` is the open book, `books/<first entry>.blj` are closed ones. Under the open book's
lock a writer (1) links it to its name in `books`, (2) writes the next book's header to
`ledger.next`, (3) appends a CLOSED record, (4) renames `ledger.next` over `ledger.blj`. There is an
open book at every moment, and whoever finds CLOSED at its end does the rest.
"""

from __future__ import annotations

import os

from belljar.ledger import folders
from belljar.ledger.cursor import Cursor, Torn
from belljar.ledger.format import NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

FOLDER: Final = "books"
_NEXT: Final = "ledger.next"
_MOST_DIGITS: Final = 18
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


def name(first: int) -> str:
    """Where the closed book that begins with entry `first` lies, seen from the ledger.

    >>> name(412)
    'books/000000000412.blj'
    """
    return f"{FOLDER}/{first:012}.blj"


def closed(directory: str) -> list[int]:
    """First entries of the books in `books`, in order; none where there is no such directory.

    The one that is being closed may be among them and be the open one as well.
    Raises `LedgerError` when the directory cannot be read.
    """
    return sorted(filter(None, map(first_of, folders.names(directory, FOLDER))))


def first_of(file: str) -> int:
    """The entry that the book called `file` begins with; 0 when that is no book's name.

    >>> first_of("000000000412.blj"), first_of("412.blj"), first_of("notes")
    (412, 0, 0)
    """
    digits = file.removesuffix(".blj")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        return 0
    first = int(digits)
    return first if file == os.path.basename(name(first)) else 0


def count(fd: int, end: int) -> int:
    """The index of the record that comes at offset `end` of the book open at `fd`, by a walk over
    the headers before it. Raises `LedgerCorrupt`.
    """
    cursor = Cursor(fd)
    try:
        while cursor.step(end, whole=False) is not None:
            continue
    except Torn as torn:
        raise cursor.flaw(str(torn)) from torn
    return cursor.record - 1


def settle(folder: int, first: int) -> None:
    """Give the open book its name among the closed ones. Doing it again does nothing.

    Raises `OSError`, also where the file system has no hard links, and `FileExistsError` when
    another file has that name.
    """
    if FOLDER not in os.listdir(folder):
        os.mkdir(FOLDER, 0o700, dir_fd=folder)
    books = os.open(FOLDER, _FOLDER, dir_fd=folder)
    file = os.path.basename(name(first))
    try:
        os.link(NAME, file, src_dir_fd=folder, dst_dir_fd=books, follow_symlinks=False)
    except FileExistsError:
        here = os.stat(NAME, dir_fd=folder, follow_symlinks=False)
        there = os.stat(file, dir_fd=books, follow_symlinks=False)
        if not os.path.samestat(here, there):
            raise
    finally:
        os.close(books)


def prepare(folder: int, header: bytes) -> None:
    """Write the next book, so far only its `header`. Raises `OSError`."""
    fd = os.open(_NEXT, _CREATE, 0o600, dir_fd=folder)
    try:
        os.fchmod(fd, 0o600)
        if os.write(fd, header) != len(header):
            raise OSError(28, os.strerror(28))
        os.fsync(fd)
    finally:
        os.close(fd)


def replace(folder: int, fd: int) -> None:
    """Put the next book in the place of the one open at `fd`, once the disk has that one."""
    os.fsync(fd)
    books = os.open(FOLDER, _FOLDER, dir_fd=folder)
    try:
        os.fsync(books)
    finally:
        os.close(books)
    os.rename(_NEXT, NAME, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
