"""The Merkle tree on disk, laid out by C2SP tlog-tiles, with its one writer.

One writer (the ledger's clerk), any number of readers, no locks: a file is complete when its name
is there, and full tiles never change. A writer may be killed at any moment: what lies beyond the
size it is certain of is written again, with the same bytes or better ones.
"""

from __future__ import annotations

import os
from contextlib import suppress
from errno import ENOTEMPTY

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import folders
from belljar.ledger.tree.merkle import SIZE, leaf_hash
from belljar.ledger.tree.tilefiles import (
    CACHED,
    ENTRIES,
    MAX_ENTRY,
    WIDTH,
    TileReader,
    bundle,
    partial,
    path,
    top,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from belljar.ledger.tree.tilefiles import Level

_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_TMP: Final = ".tmp"


class Tiles(TileReader):
    """The tree of the ledger in `directory`, seen at `size` leaves.

    A reader gives the size of a checkpoint. A writer gives the size that it is certain of (that
    of its last checkpoint): the first `append` forgets what lies beyond. Without `size` it is as
    much as the tiles of level 0 hold. Reading checks sizes, not hashes: compare `root()` with a
    checkpoint, or `audit()`. With `sync`, `append` returns after the disk has everything.

    >>> tiles = Tiles("/tmp/example")  # doctest: +SKIP
    >>> tiles.append([b"one", b"two"])  # doctest: +SKIP
    2
    """

    def __init__(self, directory: str, size: int | None = None, *, sync: bool = False) -> None:
        super().__init__(directory, size)
        self._sync = sync
        self._ready = False
        self._open: dict[str, int] = {}  # folders, while something is appended
        self._changed: set[str] = set()

    def append(self, leaves: Sequence[bytes]) -> int:
        """Add leaf data at the end; the new size.

        Either the tree has them all afterwards or it is as before; then `LedgerError` (a full
        disk, say) is raised. Raises `ValueError` for a leaf longer than `MAX_ENTRY`.
        """
        if any(len(leaf) > MAX_ENTRY for leaf in leaves):
            raise ValueError(f"an entry of a tile has at most {MAX_ENTRY} bytes")
        try:
            if not self._ready:
                if not self._sync:  # a ledger is there, or was deleted: then it stays so
                    os.makedirs(self.directory, 0o700, exist_ok=True)
                self._forget_beyond()
            new = self.size + len(leaves)
            if leaves:
                self._extend(leaves, new)
            if self._sync:
                self._to_disk()
        except OSError as error:
            self._ready = False  # what was written of it must not stay
            raise LedgerError(
                f"cannot write the tiles of {self.directory}: {error.strerror}"
            ) from error
        finally:
            self._let_go()
        self.size = new
        return new

    def _extend(self, leaves: Sequence[bytes], new: int) -> None:
        """Bundles, then level 0, then what is above it: a killed writer leaves no hash without
        what is below it."""
        number, at = divmod(self.size, WIDTH)
        old = self._bundle(number) if at else []
        whole = [*old, *leaves]
        for i in range(0, len(whole), WIDTH):
            some = whole[i : i + WIDTH]
            self._write(ENTRIES, number + i // WIDTH, len(some), bundle(some))
        fresh = b"".join([leaf_hash(leaf) for leaf in leaves])
        edges: list[tuple[int, int, bytes]] = []
        level = 0
        while fresh:
            number, at = divmod(self.size >> 8 * level, WIDTH)
            data = (self._tile(level, number) if at else b"") + fresh
            above = []
            for i in range(0, len(data), WIDTH * SIZE):
                part = data[i : i + WIDTH * SIZE]
                self._write(level, number + i // (WIDTH * SIZE), len(part) // SIZE, part)
                if len(part) == WIDTH * SIZE:
                    above.append(top(part))
                edges.append((level, number + i // (WIDTH * SIZE), part))
            edges = edges[-CACHED // 2 :]
            fresh = b"".join(above)
            level += 1
        assert level == 0 or new >> 8 * level == self.size >> 8 * level
        for level, number, part in edges:
            self._cache.pop((level, number), None)
            self._cache[level, number] = part
        while len(self._cache) > CACHED:
            del self._cache[next(iter(self._cache))]

    def _write(self, level: Level, number: int, width: int, data: bytes) -> None:
        """One file, whole or not at all. The partial ones before a full one go."""
        where = path(level, number, width)
        folder, _, name = where.rpartition("/")
        fd = self._folder(folder)
        temporary = name + _TMP
        with os.fdopen(self._new(fd, temporary), "wb", 0) as file:
            done = file.write(data)
            while done < len(data):
                done += file.write(memoryview(data)[done:])
            if self._sync:
                os.fsync(file.fileno())
        os.replace(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        if self._sync:
            self._changed.add(folder)
        if width == WIDTH:
            self._remove_partial(f"{where}.p", 0)

    @staticmethod
    def _new(folder: int, name: str) -> int:
        """A new file in the place of what a killed writer left."""
        try:
            return os.open(name, _WRITE, 0o600, dir_fd=folder)
        except FileExistsError:
            os.unlink(name, dir_fd=folder)
            return os.open(name, _WRITE, 0o600, dir_fd=folder)

    def _folder(self, folder: str, *, make: bool = True) -> int:
        """A descriptor that stays open until this `append` is over. Raises `OSError`."""
        fd = self._open.get(folder, -1)
        if fd < 0:
            fd = self._open[folder] = folders.enter(self.directory, folder, make=make)
        return fd

    def _let_go(self) -> None:
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def _to_disk(self) -> None:
        """The names, too: of the folders that changed and of those that they are in."""
        every: set[str] = {""}
        for folder in self._changed:
            while folder not in every:
                every.add(folder)
                folder = folder.rpartition("/")[0]  # noqa: PLW2901 - a walk upwards
        for folder in sorted(every, reverse=True):
            with suppress(FileNotFoundError):  # partial tiles that were removed since
                folders.sync(self.directory, folder)
        self._changed.clear()

    def _remove_partial(self, folder: str, above: int) -> None:
        """Remove the partial tiles wider than `above` from their folder, and it when empty.

        Nothing else: what has another name there, somebody else put there.
        """
        try:
            fd = self._folder(folder, make=False)
        except FileNotFoundError:
            return
        for name in os.listdir(fd):
            width = partial(name.removesuffix(_TMP))
            if width > above or (width and name.endswith(_TMP)):
                os.unlink(name, dir_fd=fd)
        if not above:
            os.close(self._open.pop(folder))
            parent, _, name = folder.rpartition("/")
            try:
                os.rmdir(name, dir_fd=self._folder(parent))
            except OSError as error:
                if error.errno != ENOTEMPTY:
                    raise

    def _remove(self, where: str) -> None:
        """A full tile, if it is there."""
        folder, _, name = where.rpartition("/")
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder(folder, make=False))

    def _forget_beyond(self) -> None:
        """Make the disk hold this size and no more, and every level of it."""
        levels: list[Level] = [ENTRIES, 0]
        above = 1
        there = folders.names(self.directory, "tile")
        while str(above) in there or self.size >> 8 * above:
            levels.append(above)
            above += 1
        for level in levels:
            have = self.size >> (0 if isinstance(level, str) else 8 * level)
            number, width = divmod(have, WIDTH)
            if isinstance(level, int) and level > 0:
                self._climb(level, have)
            edge = path(level, number)
            if width and not self._there(f"{edge}.p/{width}"):
                # Only a wider tile still has what this one held.
                if isinstance(level, str):
                    self._write(level, number, width, bundle(self._bundle(number)))
                else:
                    self._write(level, number, width, self._tile(level, number))
            self._remove_partial(f"{edge}.p", width)
            self._remove(edge)
            for beyond in range(self._last(level), number, -1):
                where = path(level, beyond)
                self._remove_partial(f"{where}.p", 0)
                self._remove(where)
        self._ready = True

    def _climb(self, level: int, have: int) -> None:
        """Write the tiles of `level` that a killed writer did not get to."""
        for number in range((have + WIDTH - 1) // WIDTH - 1, -1, -1):
            width = min(WIDTH, have - number * WIDTH)
            try:
                self._load(level, number, width)
                return
            except LedgerCorrupt:
                raise  # what is there and wrong is for a person
            except LedgerError:
                first = number * WIDTH
                hashes = [top(self._tile(level - 1, first + i)) for i in range(width)]
                self._write(level, number, width, b"".join(hashes))
