"""Epochs: who may sign which part of the ledger, and the last checkpoint of each, kept in `epochs`.

Epoch N ends with an EPOCH record, whose payload is a MessagePack map `{epoch: N + 1, key: vkey}`.
The checkpoint that covers everything up to and with that record, and nothing behind it, is signed
by key N and appended to `epochs`; then key N is erased. So what lies before an EPOCH record is
signed for good, by keys that nobody has any more.
"""

from __future__ import annotations

import os
from array import array
from io import BytesIO
from itertools import pairwise

from belljar.errors import LedgerCorrupt
from belljar.ledger import folders, shelf
from belljar.ledger.format import EPOCH, MAGIC, RECORD, VERSION, sha256
from belljar.ledger.leaf import LEAF, LEAF_SIZE
from belljar.ledger.tree import checkpoint as checkpoints
from belljar.ledger.tree.checkpoint import Checkpoint
from belljar.ledger.tree.keys import epoch_name
from belljar.ledger.tree.note import (
    MAX_NOTE,
    NoteMalformed,
    NoteUnverified,
    VerifierKey,
    open_note,
    parse_note,
    parse_vkey,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, Final

    from belljar.ledger.tree.tilefiles import TileReader

    #: key of an epoch, and what else its EPOCH record's hash is made of: seed, previous hash
    Commitment = tuple[VerifierKey, bytes, bytes]

NAME: Final = checkpoints.EPOCHS
#: Half a million epochs: nine years of a clerk that never rests.
MAX_EPOCHS: Final = 1 << 19
MAX_FILE: Final = 1 << 28
#: One of our own notes is 450 bytes long, a line of `KEYS` 240.
MAX_KEPT: Final = 4096
MAX_LINE: Final = 512
#: One line for each epoch but the first: vkey, seed and previous hash of its EPOCH record (hex).
#: So the record can still be proved to have been that one when its book was pruned.
KEYS: Final = "keys/epochs"
_MAX_PAYLOAD: Final = 4096
_DASH: Final = "\u2014 ".encode()
_APPEND: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
)


def commitment(epoch: int, key: VerifierKey) -> bytes:
    """The payload of the EPOCH record that begins `epoch` under `key`."""
    import msgspec

    return msgspec.msgpack.encode({"epoch": epoch, "key": key.vkey()})


def committed(payload: bytes | memoryview, origin: str) -> tuple[int, VerifierKey]:
    """Which epoch an EPOCH record begins, and its key. Raises `NoteMalformed`.

    >>> committed(b"", "belljar.ledger/0")
    Traceback (most recent call last):
    belljar.ledger.tree.note.NoteMalformed: names no epoch and no key
    """
    import msgspec

    try:
        found = msgspec.msgpack.decode(payload) if len(payload) <= _MAX_PAYLOAD else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or set(found) != {"epoch", "key"}:
        raise NoteMalformed("names no epoch and no key")
    epoch, vkey = found["epoch"], found["key"]
    if type(epoch) is not int or not 0 < epoch < 1 << 63 or type(vkey) is not str:
        raise NoteMalformed("names no epoch and no key")
    key = parse_vkey(vkey)
    if key.name != epoch_name(origin, epoch):
        raise NoteMalformed("names a key that is not of this ledger and epoch")
    return epoch, key


def read(directory: str, name: str, most: int) -> bytes | None:
    """A small file of the ledger, None when there is none. Raises `LedgerError`."""
    data = folders.read(directory, name, most + 1)
    if data is not None and len(data) > most:
        raise LedgerCorrupt(f"{name} is longer than {most} bytes", most)
    return data


def split(data: bytes) -> list[bytes]:
    """The notes of an `epochs` file, each as its bytes; the last may be cut short.

    A note goes from a line that is no signature to the last signature line before another such.
    """
    ends = _ends(BytesIO(data), len(data))
    return [data[begin:end] for begin, end in pairwise(ends)]


class History:
    """The notes in the `epochs` of a ledger at one moment: where each lies, 8 bytes a note.

    `torn` bytes at the end of the file a killed clerk left: it writes `checkpoint` (`current`)
    before it appends the same note to `epochs`, so what is a beginning of that note is no damage.
    Raises `LedgerError`, `LedgerCorrupt` at the first note that is longer than any, or too many.

    >>> len(History("/no/such/directory", None))
    0
    """

    def __init__(self, directory: str, current: bytes | None) -> None:
        self._directory = directory
        self._ends = array("Q", (0,))
        self.torn = 0
        try:
            fd = self._open()
        except FileNotFoundError:
            return
        with os.fdopen(fd, "rb") as file:
            self._ends = _ends(file, MAX_KEPT)
        if len(self) and current:
            last = self[-1]
            if last != current and current.startswith(last):
                self._ends.pop()
                self.torn = len(last)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> bytes:
        """The bytes of a note, as they are now; -1 for the last. Raises `LedgerError`."""
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError(number)
        begin, end = self._ends[number : number + 2]
        fd = self._open()
        try:
            return os.pread(fd, end - begin, begin)
        finally:
            os.close(fd)

    def __iter__(self) -> Iterator[bytes]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Whether no note came or went between the two."""
        if not isinstance(other, History):
            return NotImplemented
        return (self._ends, self.torn) == (other._ends, other.torn)

    __hash__ = None  # type: ignore[assignment]

    def _open(self) -> int:
        folder = -1
        try:
            folder = folders.enter(self._directory)
            return folders.open_at(folder, NAME)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise folders.cannot(self._directory, NAME, error) from error
        finally:
            if folder >= 0:
                os.close(folder)


def _ends(file: BinaryIO, most: int) -> array[int]:
    """Where the notes in a file end, 0 before them. Raises `LedgerCorrupt` for one longer than
    `most`, so that nobody has to read the rest."""
    ends = array("Q", (0,))
    at = 0
    signed = False
    while line := file.readline(most + 1):
        signature = line.startswith(_DASH)
        if signed and not signature:
            ends.append(at)
        signed = signature
        at += len(line)
        if at - ends[-1] > most or len(ends) > MAX_EPOCHS:
            what = f"is longer than {most} bytes" if at - ends[-1] > most else "is one too many"
            raise LedgerCorrupt(f"note {len(ends)} of {NAME} {what}", at)
    if at > ends[-1]:
        ends.append(at)
    return ends


def opened(note: bytes, keys: list[VerifierKey], where: str) -> Checkpoint:
    """The checkpoint in a note that each of `keys` signed, the fixed one first.

    Raises `LedgerCorrupt` naming `where`.
    """
    try:
        found = checkpoints.parse(open_note(note, keys, every=True).text)
    except (NoteMalformed, NoteUnverified) as error:
        raise LedgerCorrupt(f"{where} does not verify: {error}", 0) from error
    if found.origin != keys[0].name:
        raise LedgerCorrupt(f"{where} is one of another ledger", 0)
    if found.epoch is None or found.time is None or len(found.extensions) != 2:
        raise LedgerCorrupt(f"{where} does not say its epoch and time", 0)
    return found


def peek(note: bytes, where: str) -> Checkpoint:
    """The checkpoint in a note, nothing verified. Raises `LedgerCorrupt`."""
    try:
        return checkpoints.parse(parse_note(note).text)
    except NoteMalformed as error:
        raise LedgerCorrupt(f"{where} cannot be read: {error}", 0) from error


def unpacked(data: bytes) -> tuple[int, int, int, int, bytes]:
    """First entry, entries, payload's length, time and hash of a leaf. Raises `LedgerCorrupt`."""
    if len(data) != LEAF_SIZE:
        raise LedgerCorrupt(f"a leaf of the tree has {len(data)} bytes, expected {LEAF_SIZE}", 0)
    first, count, length, time, own = LEAF.unpack(data)
    return first, count, length, time, own


def own_hash(data: bytes, made_of: Commitment, epoch: int) -> bytes:
    """What the hash of the EPOCH record with the leaf `data` has to be if it committed that."""
    first, count, length, time, _own = unpacked(data)
    key, seed, previous = made_of
    payload = commitment(epoch, key)
    head = RECORD.pack(MAGIC, VERSION, EPOCH, 0, bytes(16), first, count, length, time)
    own: bytes = sha256(seed + previous + head + payload).digest()
    return own


def recall(directory: str, tiles: TileReader, index: int, epoch: int, key: VerifierKey) -> bytes:
    """The line of `KEYS` for the EPOCH record at `index`. Raises `LedgerError`."""
    data = tiles.leaf(index)
    book = shelf.holding(directory, unpacked(data)[0])
    os.close(book.fd)
    if book.cursor is not None:
        seed, begin, *_rest = book.cursor.start
        for previous in (begin, *(tiles.leaf(one)[-32:] for one in (index - 1,) if index)):
            if own_hash(data, (key, seed, previous), epoch) == data[-32:]:
                return f"{key.vkey()} {seed.hex()} {previous.hex()}\n".encode()
    raise LedgerCorrupt(f"record {index + 1} is not the one that begins epoch {epoch}", 0)


def remembered(lines: bytes | None) -> list[Commitment]:
    """The lines of `KEYS`; without one at the end that a killed clerk did not finish.

    Raises `LedgerCorrupt` naming the line that is not as it must be.
    """
    found = []
    data = (lines or b"").decode("utf-8", "replace")
    for number, line in enumerate(data.split("\n")[:-1], 1):
        words = line.split(" ")
        try:
            vkey, seed, previous = words
            one = parse_vkey(vkey), bytes.fromhex(seed), bytes.fromhex(previous)
            if line != f"{vkey} {one[1].hex()} {one[2].hex()}":
                raise ValueError("not as it was written")
        except (NoteMalformed, ValueError) as error:
            raise LedgerCorrupt(f"line {number} of {KEYS} cannot be read", 0) from error
        found.append(one)
    return found


def append(directory: str, name: str, note: bytes, torn: int = 0) -> None:
    """Append `note` to the file `name`, over `torn` bytes of it; wait for the disk.

    It is there wholly or not at all. Raises `OSError`.
    """
    assert len(note) <= MAX_NOTE
    folder, _, base = name.rpartition("/")
    inside = folders.enter(directory, folder)
    try:
        fd = os.open(base, _APPEND, 0o644, dir_fd=inside)
    finally:
        os.close(inside)
    try:
        end = os.fstat(fd).st_size - torn
        if torn:
            os.ftruncate(fd, end)
        try:
            if os.write(fd, note) != len(note):
                raise OSError(28, os.strerror(28))
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, end)
            raise
    finally:
        os.close(fd)
