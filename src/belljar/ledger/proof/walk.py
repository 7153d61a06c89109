"""One walk over the records of a ledger that builds its Merkle tree beside, and compares.

The roots that somebody signed are compared as their sizes are reached, and every tile with what
the records make of it. So a difference is named by its record, or by the file that is wrong.
"""

from __future__ import annotations

from hashlib import sha256

from belljar.errors import LedgerCorrupt
from belljar.ledger import folders
from belljar.ledger.format import EPOCH, RECOVERED, hasher
from belljar.ledger.leaf import LEAF, LEAF_SIZE
from belljar.ledger.proof.quick import quick
from belljar.ledger.reader import Reader
from belljar.ledger.tree.merkle import EMPTY, SIZE, Tree, parents, span
from belljar.ledger.tree.tilefiles import ENTRIES, WIDTH, TileReader, partial, path, top
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    from belljar.ledger.cursor import Cursor, Found
    from belljar.ledger.tree.tilefiles import Level

    #: `on_epoch(index, first entry, payload; None where it was pruned, leaf)`
    OnEpoch = Callable[[int, int, bytes | None, bytes], None]

_LENGTH: Final = LEAF_SIZE.to_bytes(2, "big")
_MOST_SIDES: Final = 10_000
_SLOWLY: Final = 15  # steps, after a record that is not ordinary, until the quick way is tried
_LONGEST_SIDE: Final = 4096  # bytes of a RECOVERED record: ours have 150


class Signed(Value):
    """A root that somebody signed for a size, and where that stands."""

    size: int
    root: bytes
    where: str


class Walk(Reader):
    """A `Reader` whose `found` also builds the tree of `signed` leaves and compares it.

    `roots` are compared as they come. `on_epoch` is called with each EPOCH record, once the tree
    up to it is built; of what was pruned, with the last record of each of `ends` (sizes).
    Raises `LedgerCorrupt` naming the first record, file or checkpoint that is not right.
    """

    def __init__(
        self, directory: str, signed: int, roots: list[Signed], ends: set[int], on_epoch: OnEpoch
    ) -> None:
        super().__init__(directory)
        self.size = 0  # records so far
        self.sides: list[tuple[int, bytes]] = []  # entry and payload of RECOVERED records
        self._taken = 0  # those of them that are in the tree
        self._signed = signed
        self._roots = sorted(roots, key=lambda one: one.size)
        self._needed = max([signed, *(one.size for one in roots)])
        self._ends = ends
        self._on_epoch = on_epoch
        self._blocks = Tree()  # its leaves are the roots over 256 records each
        self._hashes: list[bytes] = []
        self._leaves: list[bytes] = []
        self._odd: list[tuple[int, bool, str]] = []
        self._proved = 0
        self._stop = -1  # the size at which the next root is compared

    def found(self, *, whole: bool = True) -> Iterator[Found]:
        """As `Reader.found`; the whole ledger in one go."""
        if not self.size:
            self._take_pruned()
            self._compare_roots()
        yield from super().found(whole=whole)

    def _steps(self, cursor: Cursor, whole: bool) -> Iterator[Found]:
        """Each record of a book, once it is in the tree."""
        pack, leaves, needed = LEAF.pack, self._leaves, self._needed
        for step in self._checked(cursor, whole):
            _offset, kind, _run, first, count, time, body = step
            self.size += 1
            if self._taken < needed:
                data = pack(first, count, len(body), time, cursor.chain)
                leaves.append(data)
                self._taken += 1
                if len(leaves) == WIDTH:
                    self._end_block()
                if self._taken == self._stop:
                    self._compare_roots()
                if kind == EPOCH:
                    self._on_epoch(self.size - 1, first, bytes(body), data)
            elif kind == EPOCH:
                self._on_epoch(self.size - 1, first, bytes(body), b"")
            if kind == RECOVERED and len(body) <= _LONGEST_SIDE and len(self.sides) < _MOST_SIDES:
                self.sides.append((first, bytes(body)))
            yield step

    def _checked(self, cursor: Cursor, whole: bool) -> Iterator[Found]:
        """In turns: those that are ordinary, and by steps those that are not."""
        if not whole:
            yield from super()._steps(cursor, whole)
            return
        sha = hasher(self._size - cursor.offset)
        while True:
            yield from quick(cursor, self._size, sha)
            before = cursor.offset
            for number, step in enumerate(super()._steps(cursor, whole)):
                yield step
                if number == _SLOWLY:
                    break
            else:
                if cursor.offset == before or cursor.closed:
                    return

    def _hash(self) -> list[bytes]:
        """The leaves' hashes of the block that is at hand."""
        done = len(self._hashes)
        self._hashes += [sha256(b"\0" + data).digest() for data in self._leaves[done:]]
        return self._hashes

    def finish(self) -> None:
        """What can be told only behind the last record."""
        if self.size < self._needed:
            one = next(one for one in self._roots if one.size > self.size)
            missing = one.size - self.size
            self._point_at_odd()
            raise LedgerCorrupt(
                f"record {self.size + 1} is missing: the ledger ends before it, and {one.where} "
                f"covers {missing} more",
                0,
            )
        self._compare_block()
        self._point_at_odd()
        level = 1
        while self._signed >> 8 * level:
            width = self._signed >> 8 * level
            for number in range((width + WIDTH - 1) // WIDTH):
                begin, end = number * WIDTH, min(width, (number + 1) * WIDTH)
                want = b"".join([self._blocks.node(8 * level - 8, i) for i in range(begin, end)])
                self._compare(level, number, want, SIZE, end - begin)
            level += 1
        self._point_at_odd()

    def root(self) -> bytes:
        """The root over the leaves so far."""
        return span(self._node, 0, self._taken) if self._taken else EMPTY

    def _node(self, level: int, index: int) -> bytes:
        if level >= 8:
            return self._blocks.node(level - 8, index)
        first = (index << level) % WIDTH
        part = b"".join(self._hash()[first : first + (1 << level)])
        for _ in range(level):
            part = parents(part)
        return part

    def _take_pruned(self) -> None:
        """The leaves of records whose books were deleted, from the tiles."""
        previous, entry, index = self._begins
        if not index:
            return
        if self._signed < index:
            raise LedgerCorrupt(f"records 1 to {index} were pruned, and are not all signed", 0)
        data = b""
        for data in TileReader(self.directory, self._signed).leaves(0, index):
            self._leaves.append(data)
            self.size += 1
            self._taken += 1
            if len(self._leaves) == WIDTH:
                self._end_block()
            self._compare_roots()
            if self.size in self._ends:
                self._on_epoch(self.size - 1, 0, None, data)
        first, count, *_rest = LEAF.unpack(data) if len(data) == LEAF_SIZE else (0, 0)
        if data[-32:] != previous or first + count != entry:
            raise LedgerCorrupt(f"record {index + 1} (entry {entry}) does not go on from there", 0)

    def _compare_roots(self) -> None:
        while self._roots and self._roots[0].size == self._taken:
            one = self._roots.pop(0)
            if self.root() != one.root:
                self._disprove(one)
            self._proved = self._taken
            if self._odd:
                self._point_at_odd()
        self._stop = self._roots[0].size if self._roots else -1

    def _disprove(self, one: Signed) -> None:
        """Records are not those that were signed: say which, as far as the tiles know."""
        self._compare_block()
        for index, exact, what in self._odd:
            if exact and self._proved <= index < self._taken:
                raise LedgerCorrupt(
                    f"record {index + 1} is not the one that was signed: {what}; the tree up to "
                    f"record {self._taken} is not that of {one.where} either",
                    0,
                )
        between = f"records {self._proved + 1} to {self._taken} are not those that were signed"
        if self._proved == self._taken:
            between = "it contradicts others of this size"
        raise LedgerCorrupt(f"{one.where} has another root: {between}", 0)

    def _point_at_odd(self) -> None:
        if self._odd:
            raise LedgerCorrupt(self._odd[0][2], 0)

    def _end_block(self) -> None:
        self._compare_block()
        self._blocks.add(top(b"".join(self._hash())))
        self._hashes.clear()
        self._leaves.clear()

    def _compare_block(self) -> None:
        """Compare level 0 and the entries of the 256 records that are at hand, or fewer."""
        count = len(self._hash())
        first = self._taken - count
        width = min(count, self._signed - first)
        if width <= 0:
            return
        number = first // WIDTH
        self._compare(0, number, b"".join(self._hashes), SIZE, width)
        entries = b"".join([_LENGTH + data for data in self._leaves])
        self._compare(ENTRIES, number, entries, 2 + LEAF_SIZE, width)

    def _compare(self, level: Level, number: int, want: bytes, unit: int, width: int) -> None:
        """Every file of a tile, the narrower ones before it, too, with `want`."""
        full = path(level, number)
        narrow = filter(None, map(partial, folders.names(self.directory, f"{full}.p")))
        # The full one last: narrower ones go only after it is there.
        names = {one: f"{full}.p/{one}" for one in narrow} | {WIDTH: full}
        files = {
            one: data
            for one, where in names.items()
            if (data := folders.read(self.directory, where, WIDTH * unit + 1)) is not None
        }
        count = len(want) // unit
        base = number * WIDTH
        step = 1 if isinstance(level, str) else 1 << 8 * level
        complete = min(WIDTH, self._signed // step - base)
        if width >= complete and complete not in files and WIDTH not in files:
            self._note(base, False, f"{path(level, number, complete)} is missing")
        for has, data in sorted(files.items()):
            where = names[has]
            known = min(has, count) * unit
            if data[:known] == want[:known] and len(data) == has * unit:
                continue
            if len(data) != has * unit and data[:known] == want[: len(data)][:known]:
                what = f"{where} has {len(data)} bytes, expected {has * unit}"
                self._note(base, False, what)
                continue
            at = next(i for i in range(known) if data[i : i + 1] != want[i : i + 1]) // unit
            if step == 1:
                of = f"what it has of record {base + at + 1} is another"
            else:
                of = f"its hash {at} is not that of the tile below it"
            self._note(base + at, step == 1 and level == 0, f"{where}: {of}")

    def _note(self, index: int, exact: bool, what: str) -> None:
        if len(self._odd) < WIDTH:
            self._odd.append((index, exact, what))
