"""The ledgers whose keys were noted at their creation, outside of them: `known-ledgers`.

Who rewrites a whole ledger with keys of their own has to find this file, too. It has a line for
each ledger: origin, fixed key, genesis epoch's key (vkeys) and directory, space between them.
"""

from __future__ import annotations

import fcntl
import os

from belljar.errors import LedgerError
from belljar.ledger.folders import read_at, real
from belljar.ledger.place import default_directory
from belljar.ledger.tree.note import NoteMalformed, VerifierKey, parse_vkey
from belljar.ledger.way import reach
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

NAME: Final = "known-ledgers"
MAX_FILE: Final = 4 << 20
_MOST_LINKS: Final = 40
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Known(Value):
    """What was noted of one ledger; `line` is where (from 1)."""

    origin: str
    fixed: VerifierKey
    genesis: VerifierKey
    directory: str
    line: int = 0


def path() -> str:
    """`$XDG_STATE_HOME/belljar/known-ledgers`, else beneath `~/.local/state`."""
    return os.path.join(os.path.dirname(default_directory()), NAME)


def find(directory: str, origin: str) -> Known | None:
    """What was noted first of the ledger in `directory`; else of the ledger `origin`, wherever.

    So a ledger that was put into another's place does not pass, and one that was moved does. A
    place is every name on the way: a link that took the place of a known ledger counts as it.
    Raises `LedgerError` when there is such a file and it cannot be read.

    >>> find("/no/such/directory", "belljar.ledger/0")  # doctest: +SKIP
    """
    noted: dict[str, Known] = {}
    moved = None
    for one in _read():
        noted.setdefault(one.directory, one)
        if one.origin == origin and moved is None:
            moved = one
    return next((noted[place] for place in _places(directory) if place in noted), moved)


def note(directory: str, fixed: VerifierKey, genesis: VerifierKey) -> bool:
    """Note the keys of the new ledger in `directory`, unless its place is noted; whether it was.

    A line that is there stays: a ledger that is put into another's place is not made known by
    that. Raises `LedgerError` when it cannot be written.
    """
    where = path()
    place = real(directory)
    line = f"{fixed.name} {fixed.vkey()} {genesis.vkey()} {_quote(place)}\n".encode()
    try:
        folder = reach(os.path.dirname(where), make=True)
        fd = os.open(NAME, _FLAGS, 0o600, dir_fd=folder.fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if any(one.directory == place for one in _read()):
                return False
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                line = b"\n" + line
            if size + len(line) > MAX_FILE:
                raise LedgerError(f"{where} is full; remove the lines of ledgers that are gone")
            if os.write(fd, line) != len(line):
                os.ftruncate(fd, size)
                raise OSError(28, os.strerror(28))
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise LedgerError(f"cannot write {where}: {error.strerror}") from error
    return True


def _places(directory: str) -> list[str]:
    """The names that a directory has while its links are followed, one link after the other."""
    path = os.path.abspath(directory)
    found = [path]
    for _ in range(_MOST_LINKS):
        parts = path.split("/")
        heads = ("/".join(parts[:end]) for end in range(2, len(parts) + 1))
        link = next((head for head in heads if os.path.islink(head)), None)
        if link is None:
            break
        there = os.path.join(os.path.dirname(link), os.readlink(link))
        path = os.path.abspath(there + path[len(link) :])
        found.append(path)
    return [*found, real(directory)]


def _read() -> list[Known]:
    where = path()
    try:
        data = read_at(None, where, MAX_FILE + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LedgerError(f"cannot read {where}: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise LedgerError(f"{where} is longer than {MAX_FILE} bytes")
    found = []
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        words = line.split(" ")
        if not line or line.startswith("#"):
            continue
        try:
            if len(words) != 4:
                raise NoteMalformed("expected origin, two keys and a directory")
            fixed, genesis = parse_vkey(words[1]), parse_vkey(words[2])
            if words[0] != fixed.name or genesis.name != f"{words[0]}/epoch/0":
                raise NoteMalformed("the keys are not those of the origin")
            found.append(Known(words[0], fixed, genesis, _unquote(words[3]), number))
        except (NoteMalformed, ValueError) as error:
            raise LedgerError(f"{where}:{number}: {error}; correct or remove the line") from error
    return found


def _quote(place: str) -> str:
    """A path as one word of printable ASCII."""
    return "".join(
        chr(byte) if 0x21 <= byte < 0x7F and byte != 0x25 else f"%{byte:02x}"
        for byte in os.fsencode(place)
    )


def _unquote(word: str) -> str:
    """The path that `_quote` made the word of. Raises `ValueError`."""
    first, *rest = word.split("%")
    parts = [first.encode("ascii")]
    for part in rest:
        parts.append(bytes.fromhex(part[:2]) + part[2:].encode("ascii"))
    return os.fsdecode(b"".join(parts))
