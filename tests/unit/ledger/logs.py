"""A log as a witness sees it: tiles, a key, signed checkpoints. No records behind them."""

from __future__ import annotations

import shutil
from pathlib import Path

from belljar.ledger.tree.checkpoint import ours
from belljar.ledger.tree.keys import new_fixed, publish
from belljar.ledger.tree.note import SigningKey, sign
from belljar.ledger.tree.tilefiles import TileReader
from belljar.ledger.tree.tiles import Tiles


class Log:
    """A ledger's directory with its tree, its key and its newest checkpoint."""

    def __init__(self, directory: Path, key: SigningKey | None = None) -> None:
        self.path = str(directory)
        self.directory = directory
        (directory / "keys").mkdir(parents=True)
        self.key = key or new_fixed()
        publish(str(directory / "keys/public"), self.key.public)
        self.clock = 10**18

    @property
    def origin(self) -> str:
        return self.key.name

    def grow(self, *leaves: bytes) -> bytes:
        """Append and sign; the new checkpoint."""
        tiles = Tiles(self.path)
        tiles.append(leaves)
        return self.sign(tiles.size)

    def sign(self, size: int) -> bytes:
        """Sign the tree at `size` leaves as the newest."""
        self.clock += 10**9
        root = TileReader(self.path).root(size)
        note = sign(ours(self.origin, size, root, 0, self.clock).render(), [self.key])
        (self.directory / "checkpoint").write_bytes(note)
        return note

    def forge(self, directory: Path, *leaves: bytes) -> Log:
        """Another tree under the same key, put into the place of `directory`."""
        other = Log(directory, self.key)
        other.grow(*leaves)
        return other

    def become(self, other: Log) -> None:
        """Put the other's files here: what an intruder does with an older copy or a new tree."""
        shutil.rmtree(self.directory)
        shutil.copytree(other.directory, self.directory)
