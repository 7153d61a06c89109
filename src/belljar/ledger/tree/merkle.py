"""The Merkle tree of RFC 6962, section 2.1: roots, inclusion and consistency proofs.

Proofs are made from any `Nodes`, whatever holds the hashes (`Tree` here, `tiles.Tiles` on disk),
and checked by the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2. Everything here is pure.
"""

from __future__ import annotations

from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Final

    #: `nodes(level, index)` is the hash over leaves `index << level` to `(index + 1) << level`
    Nodes = Callable[[int, int], bytes]

SIZE: Final = 32
#: The root of the tree without leaves.
EMPTY: Final = sha256(b"").digest()
#: No tree is larger: C2SP sizes fit in a signed 64-bit integer.
MAX_SIZE: Final = (1 << 63) - 1
#: No proof is longer.
MAX_PROOF: Final = 63


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf with these bytes: SHA-256(0x00 || data).

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node above two others: SHA-256(0x01 || left || right)."""
    return sha256(b"\1" + left + right).digest()


def parents(hashes: bytes | bytearray | memoryview) -> bytes:
    """The nodes one level above `hashes` (32 bytes each, an even number), joined.

    The fast way through many nodes: about a microsecond each.
    """
    data = bytes(hashes)
    one, hashed = b"\1", sha256
    return b"".join([hashed(one + data[i : i + 64]).digest() for i in range(0, len(data), 64)])


def span(nodes: Nodes, begin: int, end: int) -> bytes:
    """MTH(D[begin:end]) of RFC 6962, where `begin` is where a subtree of this size may begin."""
    parts: list[bytes] = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        parts.append(nodes(level, begin >> level))
        begin += 1 << level
    if not parts:
        return EMPTY
    found = parts.pop()
    while parts:
        found = node_hash(parts.pop(), found)
    return found


def inclusion(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]): the proof that leaf `index` (from 0) is in the tree of `size` leaves.

    Raises `ValueError` unless `0 <= index < size`.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + (1 << (end - begin - 1).bit_length() - 1)
        if index < middle:
            proof.append(span(nodes, middle, end))
            end = middle
        else:
            proof.append(span(nodes, begin, middle))
            begin = middle
    return proof[::-1]


def consistency(nodes: Nodes, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]): that the tree of `old` leaves is how the tree of `new` began.

    Empty when `old` is 0 or `new`: there is nothing to prove, or the roots must be equal.
    Raises `ValueError` unless `0 <= old <= new`.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not begin with one of {old}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    begin, end = 0, new
    while end != old:
        middle = begin + (1 << (end - begin - 1).bit_length() - 1)
        if old <= middle:
            proof.append(span(nodes, middle, end))
            end = middle
        else:
            proof.append(span(nodes, begin, middle))
            begin = middle
    if begin:  # the verifier knows the old root, and so this node when it is that
        proof.append(span(nodes, begin, end))
    return proof[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether `proof` shows the leaf with the hash `leaf` at `index` of the tree (`size`, `root`).

    Nothing about the arguments is trusted. RFC 9162, section 2.1.3.2.

    >>> verify_inclusion(leaf_hash(b"a"), 0, 1, [], leaf_hash(b"a"))
    True
    """
    if not 0 <= index < size <= MAX_SIZE or not _hashes(leaf, root, *proof):
        return False
    at, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(other, found)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            found = node_hash(found, other)
        at >>= 1
        last >>= 1
    return last == 0 and found == root


def verify_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether `proof` shows that the tree (`new`, `new_root`) begins with (`old`, `old_root`).

    Nothing about the arguments is trusted. The empty tree begins every tree; then, and between
    equal sizes, the proof must be empty. RFC 9162, section 2.1.4.2.
    """
    if not 0 <= old <= new <= MAX_SIZE or not _hashes(old_root, new_root, *proof):
        return False
    if (old == 0 and old_root != EMPTY) or (new == 0 and new_root != EMPTY):
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at >>= 1
        last >>= 1
    before = after = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before = node_hash(other, before)
            after = node_hash(other, after)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            after = node_hash(after, other)
        at >>= 1
        last >>= 1
    return last == 0 and before == old_root and after == new_root


def _hashes(*found: bytes) -> bool:
    return all(len(one) == SIZE for one in found) and len(found) <= MAX_PROOF + 2


class Tree:
    """A Merkle tree in memory (64 bytes a leaf), to which leaves are only added.

    >>> tree = Tree()
    >>> tree.add(leaf_hash(b"a"))
    >>> tree.add(leaf_hash(b"b"))
    >>> tree.root() == node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
    True
    """

    __slots__ = ("_levels",)

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]
        self.extend(hashes)

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0]) // SIZE

    def add(self, leaf: bytes) -> None:
        """Add one leaf hash at the end."""
        self.extend((leaf,))

    def extend(self, hashes: Iterable[bytes]) -> None:
        """Add many leaf hashes at the end. Raises `ValueError` for one that has not 32 bytes."""
        added = list(hashes)
        if any(len(one) != SIZE for one in added):
            raise ValueError("a leaf hash has 32 bytes")
        self._levels[0] += b"".join(added)
        level = 0
        while len(below := self._levels[level]) >= 2 * SIZE:
            if level + 1 == len(self._levels):
                self._levels.append(bytearray())
            above = self._levels[level + 1]
            above += parents(memoryview(below)[2 * len(above) : len(below) // 64 * 64])
            level += 1

    def node(self, level: int, index: int) -> bytes:
        """The hash over 2**`level` leaves from `index` * 2**`level` on."""
        return bytes(self._levels[level][index * SIZE : index * SIZE + SIZE])

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves (all)."""
        return span(self.node, 0, self._size(size))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The proof for leaf `index` in the tree of the first `size` leaves (all)."""
        return inclusion(self.node, index, self._size(size))

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """The proof between the trees of the first `old` and the first `new` leaves (all)."""
        return consistency(self.node, old, self._size(new))

    def _size(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise ValueError(f"this tree has {self.size} leaves, not {size}")
        return size
