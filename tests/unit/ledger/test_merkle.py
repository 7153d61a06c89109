"""The Merkle tree against the published vectors of RFC 6962 and against its definition."""

from __future__ import annotations

from hashlib import sha256

import pytest

from belljar.ledger.tree.merkle import (
    EMPTY,
    Tree,
    leaf_hash,
    node_hash,
    parents,
    verify_consistency,
    verify_inclusion,
)

# The test set of the Certificate Transparency reference implementation: eight leaves and the roots
# of their trees. Today in github.com/transparency-dev/merkle, testonly/constants.go.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    bytes.fromhex(root)
    for root in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]

# From the same place, testdata/inclusion/*/happy-path.json: leaf, size, proof.
INCLUSION = (
    (0, 1, ()),
    (0, 8, (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    )),
    (5, 8, (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    )),
    (2, 3, ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",)),
    (1, 5, (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    )),
)  # fmt: skip

# From the same place, testdata/consistency/*/happy-path.json: old size, new size, proof.
CONSISTENCY = (
    (1, 1, ()),
    (1, 8, (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    )),
    (6, 8, (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    )),
    (2, 5, (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    )),
    (6, 7, (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    )),
)  # fmt: skip


def tree(size: int = 8) -> Tree:
    return Tree(leaf_hash(leaf) for leaf in LEAVES[:size])


def unhex(proof: tuple[str, ...]) -> list[bytes]:
    return [bytes.fromhex(one) for one in proof]


def definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + definition(leaves[:k]) + definition(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_published_test_set(size: int) -> None:
    assert tree(size).root() == tree().root(size) == ROOTS[size]


@pytest.mark.parametrize(("leaf", "size", "proof"), INCLUSION)
def test_the_inclusion_proofs_are_the_published_ones(
    leaf: int, size: int, proof: tuple[str, ...]
) -> None:
    assert tree().inclusion(leaf, size) == unhex(proof)
    assert verify_inclusion(leaf_hash(LEAVES[leaf]), leaf, size, unhex(proof), ROOTS[size])


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCY)
def test_the_consistency_proofs_are_the_published_ones(
    old: int, new: int, proof: tuple[str, ...]
) -> None:
    assert tree().consistency(old, new) == unhex(proof)
    assert verify_consistency(old, ROOTS[old], new, ROOTS[new], unhex(proof))


def test_every_root_and_proof_up_to_70_leaves_is_as_defined_and_verifies() -> None:
    leaves = [bytes((i,)) for i in range(70)]
    grown = Tree()
    roots = [EMPTY]
    for size, leaf in enumerate(leaves, 1):
        grown.add(leaf_hash(leaf))
        roots.append(grown.root())
        assert roots[-1] == definition(leaves[:size])
    for new in range(1, 71):
        for old in range(new):
            leaf = leaf_hash(leaves[old])
            assert verify_inclusion(leaf, old, new, grown.inclusion(old, new), roots[new])
            proof = grown.consistency(old, new)
            assert verify_consistency(old, roots[old], new, roots[new], proof)


def test_no_proof_verifies_for_another_place_size_root_or_leaf() -> None:
    grown = Tree(leaf_hash(bytes((i,))) for i in range(40))
    root = grown.root()
    for index in range(40):
        proof = grown.inclusion(index)
        leaf = leaf_hash(bytes((index,)))
        wrong = [(leaf, other, 40, proof, root) for other in range(-1, 45) if other != index]
        wrong += [(leaf, index, 40, proof[:-1], root), (leaf, index, 40, [*proof, root], root)]
        wrong += [(leaf, index, 40, proof, bytes(32)), (bytes(32), index, 40, proof, root)]
        wrong += [(leaf, index, 40, [one[:31] for one in proof], root)]
        for place, one in enumerate(proof):
            flipped = bytes((one[0] ^ 1,)) + one[1:]
            wrong.append((leaf, index, 40, [*proof[:place], flipped, *proof[place + 1 :]], root))
        for arguments in wrong:
            assert not verify_inclusion(*arguments), (index, arguments[1:3])


def test_no_consistency_proof_verifies_when_anything_about_it_is_changed() -> None:
    grown = Tree(leaf_hash(bytes((i,))) for i in range(40))
    roots = [grown.root(size) for size in range(41)]
    for old in range(1, 40):
        for new in range(old + 1, 41):
            proof = grown.consistency(old, new)
            wrong = [
                (old, bytes(32), new, roots[new], proof),
                (old, roots[old], new, bytes(32), proof),
                (old, roots[new], new, roots[old], proof),
                (new, roots[new], old, roots[old], proof),
                (old, roots[old], new, roots[new], proof[:-1]),
                (old, roots[old], new, roots[new], [*proof, roots[old]]),
                (old, roots[old], new, roots[new], [roots[old], *proof]),
                (old - 1, roots[old], new, roots[new], proof),
                (old, roots[old], old, roots[new], proof),
            ]
            for place, one in enumerate(proof):
                flipped = one[:-1] + bytes((one[-1] ^ 128,))
                changed = [*proof[:place], flipped, *proof[place + 1 :]]
                wrong.append((old, roots[old], new, roots[new], changed))
            for arguments in wrong:
                assert not verify_consistency(*arguments), (old, new)


def test_the_empty_tree_begins_every_tree_without_a_proof_and_only_that() -> None:
    root = tree().root()
    assert verify_consistency(0, EMPTY, 8, root, [])
    assert not verify_consistency(0, EMPTY, 8, root, [root])
    assert not verify_consistency(0, root, 8, root, [])
    assert not verify_consistency(0, EMPTY, 0, root, [])
    assert verify_consistency(8, root, 8, root, [])
    assert not verify_consistency(8, root, 8, root, [root])


def test_a_proof_that_is_longer_than_the_tree_is_deep_proves_nothing() -> None:
    """Roots made for the purpose: they are what an unchecked walk would come to."""
    leaf, a, b, c, d = (leaf_hash(bytes((i,))) for i in range(5))
    assert not verify_inclusion(leaf, 0, 1, [a], node_hash(a, leaf))
    old = node_hash(d, node_hash(c, a))
    new = node_hash(d, node_hash(c, node_hash(a, b)))
    assert not verify_consistency(3, old, 4, new, [a, b, c, d])
    assert verify_consistency(3, node_hash(c, a), 4, node_hash(c, node_hash(a, b)), [a, b, c])


@pytest.mark.parametrize("size", [-1, 1 << 63, 1 << 200])
def test_a_size_that_no_tree_has_never_verifies(size: int) -> None:
    root = tree().root()
    assert not verify_inclusion(root, 0, size, [], root)
    assert not verify_consistency(1, root, size, root, [root])


def test_the_fast_way_through_many_nodes_gives_the_same_as_one_at_a_time() -> None:
    hashes = [leaf_hash(bytes((i,))) for i in range(6)]
    pairs = [node_hash(hashes[i], hashes[i + 1]) for i in (0, 2, 4)]
    assert parents(b"".join(hashes)) == b"".join(pairs)


def test_a_hash_of_another_length_is_not_added() -> None:
    grown = Tree()
    with pytest.raises(ValueError, match="32 bytes"):
        grown.add(b"short")
    assert grown.size == 0
