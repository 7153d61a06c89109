"""The files of a Merkle tree, by C2SP tlog-tiles: `tile/<L>/<N>[.p/<W>]` and entry bundles.

Where they lie, what is in them, and the tree as a reader sees it. `tiles.Tiles` writes them.
"""

from __future__ import annotations

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import folders
from belljar.ledger.tree import merkle
from belljar.ledger.tree.merkle import SIZE, leaf_hash, parents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    Level = int | str

WIDTH: Final = 256
ENTRIES: Final = "entries"
#: An entry is at most this long: bundles have 16-bit lengths.
MAX_ENTRY: Final = (1 << 16) - 1
CACHED: Final = 256
#: Folders in folders: more than any 64-bit number of tiles needs.
_DEEPEST: Final = 7


def path(level: Level, number: int, width: int = WIDTH) -> str:
    """Where a tile lies: `level` is 0 to 63 or `entries`; narrower than 256 is partial.

    >>> path(0, 1234067), path("entries", 273, 112)
    ('tile/0/x001/x234/067', 'tile/entries/273.p/112')
    """
    parts = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        parts.append(f"x{number % 1000:03}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(parts))}{partial}"


def partial(name: str) -> int:
    """The width of the partial tile called `name` in its folder; 0 when that is no such name.

    >>> partial("112"), partial("012"), partial("256"), partial("\N{SUPERSCRIPT TWO}")
    (112, 0, 0, 0)
    """
    fits = name.isascii() and name.isdigit() and len(name) <= 3 and name[0] != "0"
    width = int(name) if fits else WIDTH
    return width if width < WIDTH else 0


def bundle(leaves: Sequence[bytes]) -> bytes:
    """An entry bundle: each leaf after its length, 16 bits, big-endian.

    >>> bundle([b"a", b""])
    b'\\x00\\x01a\\x00\\x00'
    """
    return b"".join([len(leaf).to_bytes(2, "big") + leaf for leaf in leaves])


def unbundle(data: bytes, width: int, where: str) -> list[bytes]:
    """The `width` leaves of a bundle. Raises `LedgerCorrupt` unless they are all of it."""
    leaves = []
    at = 0
    for _ in range(width):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data):
            raise LedgerCorrupt(f"{where} is cut short at byte {len(data)}", len(data))
        leaves.append(data[at + 2 : end])
        at = end
    if at != len(data):
        raise LedgerCorrupt(f"{where} goes on behind its {width} entries, at byte {at}", at)
    return leaves


class TileReader:
    """The tree in `directory` at `size` leaves; without it, as much as level 0 holds.

    Sizes are checked, hashes are not: compare `root()` with a checkpoint, or `audit()`.
    """

    def __init__(self, directory: str, size: int | None = None) -> None:
        self.directory = directory
        self._cache: dict[tuple[int, int], bytes] = {}
        self.size = self._found() if size is None else size

    def node(self, level: int, index: int) -> bytes:
        """The hash over 2**`level` leaves from `index` * 2**`level` on.

        Raises `LedgerError` when the tile is missing, `LedgerCorrupt` when it has another size.
        """
        tile, inner = divmod(level, 8)
        first = index << inner
        number, at = divmod(first, WIDTH)
        hashes = self._tile(tile, number)[at * SIZE : (at + (1 << inner)) * SIZE]
        if len(hashes) != SIZE << inner:
            raise ValueError(f"a tree of {self.size} leaves has no node {index} at level {level}")
        for _ in range(inner):
            hashes = parents(hashes)
        return hashes

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves (all)."""
        return merkle.span(self.node, 0, self._within(size))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The proof for leaf `index` in the tree of the first `size` leaves (all)."""
        return merkle.inclusion(self.node, index, self._within(size))

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """The proof between the trees of the first `old` and the first `new` leaves (all)."""
        return merkle.consistency(self.node, old, self._within(new))

    def leaf(self, index: int) -> bytes:
        """The data of leaf `index`. Raises `LedgerCorrupt` when its hash in the tree is another."""
        for found in self.leaves(index, index + 1):
            return found
        raise ValueError(f"a tree of {self.size} leaves has no leaf {index}")

    def leaves(self, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The data of leaves `begin` to `end`, each compared with its hash in the tree."""
        end = self._within(end)
        while begin < end:
            number, at = divmod(begin, WIDTH)
            stop = min(WIDTH, end - number * WIDTH)
            found = self._bundle(number)
            hashes = self._tile(0, number)
            for i in range(at, stop):
                if leaf_hash(found[i]) != hashes[i * SIZE : (i + 1) * SIZE]:
                    where = path(ENTRIES, number, self._width(ENTRIES, number))
                    raise LedgerCorrupt(f"entry {number * WIDTH + i} of {where} is not its leaf", 0)
                yield found[i]
            begin = number * WIDTH + stop

    def audit(self) -> None:
        """Compute every tile from the one below it, from the entries up.

        About 0.5 million leaves a second. Raises `LedgerCorrupt` naming the first file that is
        not as it must be. Who can write the ledger can make tiles that pass: compare `root()`.
        """
        for _ in self.leaves():
            continue
        level = 1
        while self.size >> 8 * level:
            for number in range(_count(self.size, level)):
                hashes = self._tile(level, number)
                for i in range(len(hashes) // SIZE):
                    below = number * WIDTH + i
                    if top(self._tile(level - 1, below)) != hashes[i * SIZE : (i + 1) * SIZE]:
                        where = path(level, number, self._width(level, number))
                        under = path(level - 1, below)
                        raise LedgerCorrupt(f"hash {i} of {where} is not that of {under}", i * SIZE)
            level += 1

    def _within(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise ValueError(f"this tree has {self.size} leaves, not {size}")
        return size

    def _width(self, level: Level, number: int) -> int:
        below = 0 if isinstance(level, str) else 8 * level
        return max(0, min(WIDTH, (self.size >> below) - number * WIDTH))

    def _tile(self, level: int, number: int) -> bytes:
        found = self._cache.get((level, number))
        if found is None:
            width = self._width(level, number)
            found = self._load(level, number, width)[: width * SIZE] if width else b""
            if len(self._cache) >= CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[level, number] = found
        return found

    def _bundle(self, number: int) -> list[bytes]:
        width = self._width(ENTRIES, number)
        return self._entries(number, width)[:width]

    def _entries(self, number: int, width: int) -> list[bytes]:
        for one in self._candidates(ENTRIES, number, width):
            where = path(ENTRIES, number, one)
            data = self._read(where, one * (MAX_ENTRY + 2))
            if data is not None:
                return unbundle(data, one, where)
        raise LedgerError(f"{path(ENTRIES, number, width)} is missing in {self.directory}")

    def _load(self, level: int, number: int, width: int) -> bytes:
        """A tile of `width` hashes, or a wider one, which begins with the same."""
        for one in self._candidates(level, number, width):
            where = path(level, number, one)
            data = self._read(where, one * SIZE)
            if data is not None:
                if len(data) != one * SIZE:
                    raise LedgerCorrupt(
                        f"{where} has {len(data)} bytes, expected {one * SIZE}", len(data)
                    )
                return data
        raise LedgerError(f"{path(level, number, width)} is missing in {self.directory}")

    def _candidates(self, level: Level, number: int, width: int) -> Iterator[int]:
        """The widths in which a tile may be there. The full one last but one: partial ones go
        only after it is there. Another partial one serves a writer that goes back to a size."""
        yield width
        yield WIDTH
        found = folders.names(self.directory, path(level, number, 1).removesuffix("/1"))
        yield from sorted(one for one in map(partial, found) if one > width)

    def _read(self, where: str, most: int) -> bytes | None:
        return folders.read(self.directory, where, most + 1)

    def _found(self) -> int:
        """How many leaves the tiles of level 0 hold."""
        number = self._last(0)
        if number < 0:
            return 0
        where = path(0, number)
        if self._there(where):
            return (number + 1) * WIDTH
        widths = map(partial, folders.names(self.directory, f"{where}.p"))
        return number * WIDTH + max(widths, default=0)

    def _there(self, where: str) -> bool:
        """Whether there is a file of this name, whatever it is."""
        folder, _, name = where.rpartition("/")
        return name in folders.names(self.directory, folder)

    def _last(self, level: Level) -> int:
        """The number of the last tile of a level, full or partial; -1 when there is none."""
        folder = f"tile/{level}"
        number = 0
        for _ in range(_DEEPEST):
            deep, flat = _largest(folders.names(self.directory, folder))
            number *= 1000
            if deep < 0:
                return -1 if flat < 0 else number + flat
            number += deep
            folder = f"{folder}/x{deep:03}"
        raise LedgerCorrupt(f"{folder} lies deeper than any tile", 0)


def _largest(names: list[str]) -> tuple[int, int]:
    """Of the names in a folder: the largest `x001`, and the largest `001` or `001.p`."""
    deep = flat = -1
    for name in names:
        number = name.removeprefix("x").removesuffix(".p")
        if len(number) == 3 and number.isascii() and number.isdigit():
            if name == f"x{number}":
                deep = max(deep, int(number))
            elif name != f"x{number}.p":
                flat = max(flat, int(number))
    return deep, flat


def _count(size: int, level: int) -> int:
    return ((size >> 8 * level) + WIDTH - 1) // WIDTH


def top(tile: bytes) -> bytes:
    """The root of a full tile."""
    for _ in range(8):
        tile = parents(tile)
    return tile
