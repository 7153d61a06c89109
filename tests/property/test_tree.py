"""The Merkle tree for any leaves and sizes: proofs verify, and verify nothing else."""

from __future__ import annotations

import tempfile
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from belljar.errors import LedgerError
from belljar.ledger.tree.checkpoint import Checkpoint, parse
from belljar.ledger.tree.merkle import Tree, leaf_hash, verify_consistency, verify_inclusion
from belljar.ledger.tree.note import NoteMalformed, NoteUnverified, SigningKey, open_note, sign
from belljar.ledger.tree.tilefiles import TileReader
from belljar.ledger.tree.tiles import Tiles

KEY = SigningKey("example.com/log", bytes(32))


def definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + definition(leaves[:k]) + definition(leaves[k:])).digest()


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=200), st.data())
def test_every_proof_verifies_and_none_for_another_leaf(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = Tree(map(leaf_hash, leaves))
    new = data.draw(st.integers(1, len(leaves)))
    old = data.draw(st.integers(0, new - 1))
    assert tree.root(new) == definition(leaves[:new])
    proof = tree.inclusion(old, new)
    assert verify_inclusion(leaf_hash(leaves[old]), old, new, proof, tree.root(new))
    other = data.draw(st.binary(max_size=80).filter(lambda one: one != leaves[old]))
    assert not verify_inclusion(leaf_hash(other), old, new, proof, tree.root(new))
    steps = tree.consistency(old, new)
    assert verify_consistency(old, tree.root(old), new, tree.root(new), steps)


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=100), st.data())
def test_no_proof_at_all_joins_a_tree_with_one_that_began_otherwise(
    leaves: list[bytes], data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, len(leaves) - 1))
    place = data.draw(st.integers(0, old - 1))
    forged = [*leaves]
    forged[place] += b"!"
    before, after = Tree(map(leaf_hash, leaves)), Tree(map(leaf_hash, forged))
    for tree in (before, after):
        proof = tree.consistency(old)
        assert not verify_consistency(old, before.root(old), len(leaves), after.root(), proof)


@given(
    st.integers(-2, 1 << 64),
    st.integers(-2, 1 << 64),
    st.lists(st.binary(max_size=33), max_size=70),
)
def test_checking_rubbish_says_no_and_does_not_raise(
    first: int, second: int, proof: list[bytes]
) -> None:
    assert not verify_inclusion(bytes(32), first, second, proof, b"\1" * 32)
    assert not verify_consistency(first, bytes(32), second, b"\1" * 32, proof)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=8), st.data())
def test_tiles_written_in_any_portions_are_the_same_tree(
    portions: list[int], data: st.DataObject
) -> None:
    whole = Tree()
    with tempfile.TemporaryDirectory() as directory:
        for count in portions:
            tiles = Tiles(directory)
            new = [b"%d" % i for i in range(whole.size, whole.size + count)]
            tiles.append(new)
            whole.extend(map(leaf_hash, new))
        found = TileReader(directory)
        size = data.draw(st.integers(0, whole.size))
        assert (found.size, found.root()) == (whole.size, whole.root())
        assert found.consistency(size) == whole.consistency(size)
        if size:
            assert found.inclusion(size - 1) == whole.inclusion(size - 1)


@given(st.binary(max_size=300))
def test_no_bytes_open_as_a_note_by_accident(data: bytes) -> None:
    try:
        open_note(data, [KEY.public])
    except (NoteMalformed, NoteUnverified):
        return
    raise AssertionError("a note was forged")


TEXT = st.text(
    st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), min_size=1, max_size=40
)


@given(TEXT, st.integers(0, (1 << 63) - 1), st.binary(min_size=32, max_size=32), st.lists(TEXT))
def test_a_checkpoint_comes_back_as_it_was_written(
    origin: str, size: int, root: bytes, lines: list[str]
) -> None:
    made = Checkpoint(origin, size, root, tuple(lines[:20]))
    assert parse(open_note(sign(made.render(), [KEY]), [KEY.public]).text) == made


@given(st.text(max_size=200))
def test_any_text_is_a_checkpoint_or_refused_with_one_line(text: str) -> None:
    try:
        found = parse(text)
    except LedgerError as error:
        said = str(error)
    else:
        said = ""
        assert found.render() == text
    assert "\n" not in said
