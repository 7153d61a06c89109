"""Proofs that need no ledger to be checked: that a record is in the tree, that trees agree.

An inclusion proof is C2SP tlog-proof, version 1; its `extra` is the leaf's data, so that the
record's numbers, time and hash can be told from it. A consistency proof is a text of our own.
"""

from __future__ import annotations

import binascii

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import shelf
from belljar.ledger.leaf import LEAF, LEAF_SIZE
from belljar.ledger.tree import checkpoint as checkpoints
from belljar.ledger.tree import epochs
from belljar.ledger.tree.checkpoint import Checkpoint, whole
from belljar.ledger.tree.merkle import (
    MAX_PROOF,
    SIZE,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from belljar.ledger.tree.note import MAX_NOTE, NoteMalformed, NoteUnverified, VerifierKey, open_note
from belljar.ledger.tree.tilefiles import TileReader
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_PROOF: Final = "c2sp.org/tlog-proof@v1"
_CONSISTENCY: Final = "belljar tree consistency v1"
#: A proof: 63 hashes, a leaf, a note.
MAX_FILE: Final = MAX_NOTE + (1 << 16)


class Included(Value):
    """A record that was proved to be in the tree of `checkpoint`."""

    index: int
    first: int
    count: int
    time: int
    own: bytes
    checkpoint: Checkpoint


def newest(directory: str) -> tuple[bytes, TileReader]:
    """The newest checkpoint of a ledger, as its bytes, and the tree that it covers.

    Raises `LedgerError` where there is none, `LedgerCorrupt` when the tiles make another root.
    """
    directory = shelf.held(directory)
    note = epochs.read(directory, checkpoints.NAME, MAX_NOTE)
    if note is None:
        raise LedgerError(
            f"nothing in {directory} is signed yet: `belljar log checkpoint` does that"
        )
    found = epochs.peek(note, checkpoints.NAME)
    tiles = TileReader(directory, found.size)
    if tiles.root() != found.root:
        raise LedgerCorrupt(
            f"the tiles make another root than {checkpoints.NAME}; see `belljar log verify`", 0
        )
    return note, tiles


def prove(directory: str, entry: int) -> str:
    """The proof that the record that holds `entry` is in the newest checkpoint's tree.

    Needs the tiles only, so it works for pruned records, too. Raises `LedgerError`.

    >>> prove("/tmp/example", 412).splitlines()[0]  # doctest: +SKIP
    'c2sp.org/tlog-proof@v1'
    """
    note, tiles = newest(directory)
    index = _holding(tiles, entry)
    if index is None:
        raise LedgerError(f"no signed record of {directory} holds entry #{entry}")
    lines = [_PROOF, f"extra {_base64(tiles.leaf(index))}", f"index {index}"]
    lines += map(_base64, tiles.inclusion(index))
    return "\n".join(lines) + "\n\n" + note.decode()


def check(proof: bytes, keys: Sequence[VerifierKey]) -> Included:
    """Check an inclusion proof; each of `keys` must have signed its checkpoint.

    Raises `LedgerCorrupt` when it proves nothing.
    """
    try:
        lines, note = _parse(proof, _PROOF)
        data, index = _unbase64(lines[0], "extra "), whole(lines[1].removeprefix("index "))
        if len(data) != LEAF_SIZE or index is None or not lines[1].startswith("index "):
            raise NoteMalformed("not a proof of a record of ours: its second or third line")
        hashes = [_hash(line) for line in lines[2:]]
        found = checkpoints.parse(open_note(note, keys, every=True).text)
        if found.origin != keys[0].name:
            raise NoteMalformed("its checkpoint is one of another ledger")
    except (NoteMalformed, NoteUnverified) as error:
        raise LedgerCorrupt(f"the proof does not verify: {error}", 0) from error
    if not verify_inclusion(leaf_hash(data), index, found.size, hashes, found.root):
        raise LedgerCorrupt("the proof does not verify: its hashes make another root", 0)
    first, count, _length, time, own = LEAF.unpack(data)
    return Included(index, first, count, time, own, found)


def prove_consistency(directory: str, old: int, new: int) -> str:
    """The proof that the tree of the first `old` records is how that of `new` begins.

    Raises `LedgerError` when fewer are signed.
    """
    _note, tiles = newest(directory)
    if not 0 <= old <= new <= tiles.size:
        raise LedgerError(f"{tiles.size} records are signed: no proof from {old} to {new}")
    lines = [_CONSISTENCY]
    lines += [
        f"{name} {size} {_base64(tiles.root(size))}" for name, size in (("old", old), ("new", new))
    ]
    lines += map(_base64, tiles.consistency(old, new))
    return "\n".join(lines) + "\n"


def check_consistency(proof: bytes) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """Size and root of the old and of the new tree, when the one is how the other begins.

    Whether the roots are those that somebody signed is for the caller. Raises `LedgerCorrupt`.
    """
    try:
        lines, _rest = _parse(proof, _CONSISTENCY)
        sides = []
        for name, line in zip(("old ", "new "), lines, strict=False):
            size, _, root = line.removeprefix(name).partition(" ")
            number = whole(size)
            if number is None or not line.startswith(name):
                raise NoteMalformed("not a consistency proof: its second or third line")
            sides.append((number, _hash(root)))
        hashes = [_hash(line) for line in lines[2:]]
    except NoteMalformed as error:
        raise LedgerCorrupt(f"the proof does not verify: {error}", 0) from error
    (old, old_root), (new, new_root) = sides
    if not verify_consistency(old, old_root, new, new_root, hashes):
        raise LedgerCorrupt("the proof does not verify: its hashes make other roots", 0)
    return sides[0], sides[1]


def _holding(tiles: TileReader, entry: int) -> int | None:
    """The index of the record that holds `entry`, by halving."""
    low, high = 0, tiles.size
    while low < high:
        middle = (low + high) // 2
        first, count, *_rest = epochs.unpacked(tiles.leaf(middle))
        if first <= entry < first + count:
            return middle
        if entry < first:
            high = middle
        else:
            low = middle + 1
    return None


def _parse(proof: bytes, kind: str) -> tuple[list[str], bytes]:
    """The lines between the first and the empty one, and what is behind that."""
    head, blank, note = proof[:MAX_FILE].partition(b"\n\n")
    lines = head.removesuffix(b"\n").decode("utf-8", "replace").split("\n")
    if lines[0] != kind or (kind == _PROOF and not blank) or len(proof) > MAX_FILE:
        raise NoteMalformed(f"it does not begin with {kind}, or has no checkpoint")
    if not 3 <= len(lines) <= MAX_PROOF + 3:
        raise NoteMalformed("it has too few or too many lines")
    return lines[1:], note


def _hash(line: str) -> bytes:
    data = _unbase64(line, "")
    if len(data) != SIZE:
        raise NoteMalformed("a hash has 32 bytes")
    return data


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _unbase64(line: str, before: str) -> bytes:
    try:
        data = binascii.a2b_base64(line.removeprefix(before).encode("ascii"), strict_mode=True)
    except (ValueError, binascii.Error) as error:
        raise NoteMalformed("a line is not base64") from error
    if not line.startswith(before) or before + _base64(data) != line:
        raise NoteMalformed("a line is not base64 as it is written")
    return data
