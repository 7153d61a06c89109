"""The tree on disk: the layout of C2SP tlog-tiles, proofs, and what a killed writer leaves."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger.tree import tiles as module
from belljar.ledger.tree.merkle import Tree, leaf_hash
from belljar.ledger.tree.tilefiles import TileReader, bundle, path, unbundle
from belljar.ledger.tree.tiles import Tiles

LONG = bool(os.environ.get("BELLJAR_LONG"))


def leaves(begin: int, end: int) -> list[bytes]:
    return [b"leaf %d" % i for i in range(begin, end)]


def roots(size: int) -> Tree:
    return Tree(map(leaf_hash, leaves(0, size)))


def files(directory: Path) -> set[str]:
    return {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()}


def test_an_index_is_written_as_the_specification_says() -> None:
    assert path(0, 1234067) == "tile/0/x001/x234/067"  # C2SP tlog-tiles, section "Merkle Tree"
    assert path("entries", 0) == "tile/entries/000"
    assert path(63, 999, 255) == "tile/63/999.p/255"
    assert path(1, 1000) == "tile/1/x001/000"


def test_a_tree_of_70000_leaves_has_the_tiles_that_the_specification_counts(tmp_path: Path) -> None:
    """C2SP tlog-tiles, section "Partial Tiles", has this example."""
    Tiles(str(tmp_path)).append(leaves(0, 70000))
    found = files(tmp_path)
    level = {n: [f for f in found if f.startswith(f"tile/{n}/")] for n in (0, 1, 2, "entries")}
    for name in (0, "entries"):
        assert len(level[name]) == 274
        assert f"tile/{name}/272" in found
        assert [f for f in level[name] if ".p/" in f] == [f"tile/{name}/273.p/112"]
    assert sorted(level[1]) == ["tile/1/000", "tile/1/001.p/17"]
    assert level[2] == ["tile/2/000.p/1"]
    assert len(found) == 274 * 2 + 3
    assert (tmp_path / "tile/0/273.p/112").stat().st_size == 112 * 32
    whole = roots(70000)
    assert (tmp_path / "tile/2/000.p/1").read_bytes() == whole.node(16, 0)
    assert (tmp_path / "tile/1/001.p/17").read_bytes()[:32] == whole.node(8, 256)
    assert TileReader(str(tmp_path)).root() == whole.root()


def test_a_tree_of_256_leaves_has_a_full_tile_and_a_partial_one_above(tmp_path: Path) -> None:
    tiles = Tiles(str(tmp_path))
    for size in range(256):
        tiles.append(leaves(size, size + 1))
    assert files(tmp_path) == {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"}


def test_a_bundle_is_entries_behind_their_lengths() -> None:
    data = bundle([b"", b"ab", b"c" * 300])
    assert data[:6] == b"\0\0\0\2ab"
    assert data[6:8] == b"\x01\x2c"
    assert unbundle(data, 3, "x") == [b"", b"ab", b"c" * 300]
    for wrong, width in ((data[:-1], 3), (data + b"\0", 3), (data, 4), (data, 2), (b"\0", 1)):
        with pytest.raises(LedgerCorrupt, match="x "):
            unbundle(wrong, width, "x")


def test_roots_and_proofs_from_the_tiles_are_those_of_the_tree_in_memory(tmp_path: Path) -> None:
    size = 66000
    Tiles(str(tmp_path)).append(leaves(0, size))
    whole = roots(size)
    found = TileReader(str(tmp_path), size)
    pick = random.Random(6962)
    for _ in range(300):
        new = pick.choice([pick.randrange(1, size + 1), 256, 257, 65536, 65537, size])
        old = pick.randrange(new)
        assert found.root(new) == whole.root(new)
        assert found.inclusion(old, new) == whole.inclusion(old, new)
        assert found.consistency(old, new) == whole.consistency(old, new)
    assert found.leaf(12345) == b"leaf 12345"
    assert list(found.leaves(65530, 65600)) == leaves(65530, 65600)


def test_a_reader_at_an_older_size_goes_on_while_the_tree_grows(tmp_path: Path) -> None:
    tiles = Tiles(str(tmp_path))
    tiles.append(leaves(0, 300))
    reader = TileReader(str(tmp_path), 300)
    tiles.append(leaves(300, 70000))
    assert reader.root() == roots(300).root()
    assert reader.inclusion(299) == roots(300).inclusion(299)
    with pytest.raises(ValueError, match="300 leaves"):
        reader.root(301)


def test_a_writer_opened_at_any_size_goes_on_from_there(tmp_path: Path) -> None:
    """What lay beyond was other leaves, and none of them is seen again."""
    pick = random.Random(1)
    shape, size = Tree(), 0
    while size < (140000 if LONG else 70000):
        if size and pick.random() < 0.6:
            size = max(0, size - pick.choice([0, 1, 255, 256, 300, 70000]))
            shape = Tree(shape.node(0, i) for i in range(size))
        tiles = Tiles(str(tmp_path), size if pick.random() < 0.7 or size < shape.size else None)
        if tiles.size != size:  # as much as level 0 holds, when nobody says how much
            tiles = Tiles(str(tmp_path), size)
        new = [pick.randbytes(9) for _ in range(pick.choice([1, 2, 256, 257, 9000, 60000]))]
        size = tiles.append(new)
        shape.extend(map(leaf_hash, new))
        assert TileReader(str(tmp_path)).size == size
        assert TileReader(str(tmp_path), size).root() == shape.root()
    TileReader(str(tmp_path)).audit()


def test_a_writer_that_goes_back_leaves_nothing_of_what_lay_beyond(tmp_path: Path) -> None:
    for more in (20, 200, 700, 70000):
        Tiles(str(tmp_path), 0).append(leaves(0, 100))
        Tiles(str(tmp_path)).append(leaves(100, 100 + more))
        Tiles(str(tmp_path), 100).append([])
        assert files(tmp_path) == {"tile/0/000.p/100", "tile/entries/000.p/100"}


def test_a_writer_killed_after_any_file_leaves_what_the_next_one_goes_on_from(
    tmp_path: Path,
) -> None:
    edge = 65536 if LONG else 512  # where level 2 begins, and level 1 goes on
    begin, end = edge - 300, edge + 300
    made = tmp_path / "made"
    made.mkdir()
    Tiles(str(made)).append(leaves(0, begin))
    before, after = roots(begin).root(), roots(end).root()

    class Killed(BaseException):
        pass

    step = 0
    while True:
        directory = tmp_path / "again"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(made, directory)
        tiles = Tiles(str(directory), begin)
        left = [step]

        def call(*args: object, left: list[int] = left, **kw: object) -> None:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            os.rename(*args, **kw)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module.os, "replace", call)
            try:
                tiles.append(leaves(begin, end))
                done = True
            except Killed:
                done = False
        assert TileReader(str(directory), begin).root() == before
        free = Tiles(str(directory))  # a writer that is told nothing
        assert begin <= free.size <= end
        free.append(leaves(free.size, end))
        assert TileReader(str(directory), end).root() == after
        sure = Tiles(str(directory), begin)  # and one that goes back to its checkpoint
        sure.append(leaves(begin, end))
        audit = TileReader(str(directory), end)
        audit.audit()
        assert audit.root() == after
        if done:
            break
        step += 1
    assert step >= 9


def test_sigkill_at_random_moments_loses_nothing_that_was_told(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from belljar.ledger.tree.tiles import Tiles\n"
        "t = Tiles(sys.argv[1])\n"
        "while True:\n"
        "    t.append([b'leaf %d' % i for i in range(t.size, t.size + 1 + t.size % 200)])\n"
        "    print(t.size, flush=True)\n"
    )
    pick, whole = random.Random(9), Tree()
    for _ in range(200 if LONG else 6):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(pick.random() * 0.05)
        child.send_signal(signal.SIGKILL)
        told = [int(line) for line in child.stdout.read().split("\n")[:-1]]
        child.stdout.close()
        child.wait()
        tiles = Tiles(str(tmp_path))
        assert tiles.size >= max(told, default=0)
        tiles.append([])
        whole.extend(map(leaf_hash, leaves(whole.size, tiles.size)))
        assert TileReader(str(tmp_path)).root() == whole.root()
    TileReader(str(tmp_path)).audit()


def test_a_full_disk_leaves_the_tree_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles = Tiles(str(tmp_path))
    tiles.append(leaves(0, 200))
    before = files(tmp_path)
    real, count = os.replace, [0]

    def full(*args: object, **folders: object) -> None:
        count[0] += 1
        if count[0] == 3:
            raise OSError(28, "No space left on device")
        real(*args, **folders)  # type: ignore[arg-type]

    monkeypatch.setattr(module.os, "replace", full)
    with pytest.raises(LedgerError, match="No space left"):
        tiles.append(leaves(200, 700))
    assert tiles.size == 200
    assert tiles.root() == roots(200).root()
    assert "tile/entries/000" in files(tmp_path)
    tiles.append([])
    assert {f for f in files(tmp_path) if not f.endswith(".tmp")} == before
    assert tiles.append(leaves(200, 700)) == 700
    assert TileReader(str(tmp_path)).root() == roots(700).root()


@pytest.mark.parametrize("name", ["tile/0/000", "tile/1/000.p/3", "tile/entries/001"])
def test_a_missing_tile_or_one_of_another_size_is_named(tmp_path: Path, name: str) -> None:
    Tiles(str(tmp_path)).append(leaves(0, 800))
    file = tmp_path / name
    data = file.read_bytes()
    for wrong in (data[:-1], data + b"\0", b""):
        file.write_bytes(wrong)
        with pytest.raises(LedgerCorrupt, match=name):
            TileReader(str(tmp_path), 800).audit()
    file.unlink()
    with pytest.raises(LedgerError, match=f"{name} is missing"):
        TileReader(str(tmp_path), 800).audit()


def test_every_flipped_bit_of_every_tile_is_found_and_its_file_named(tmp_path: Path) -> None:
    Tiles(str(tmp_path)).append([b"%d" % i for i in range(514)])
    pick = random.Random(2)
    for name in sorted(files(tmp_path)):
        file = tmp_path / name
        data = file.read_bytes()
        for _ in range(60):
            bit = pick.randrange(len(data) * 8)
            wrong = bytearray(data)
            wrong[bit // 8] ^= 1 << bit % 8
            file.write_bytes(wrong)
            reader = TileReader(str(tmp_path), 514)
            with pytest.raises(LedgerCorrupt, match=r"tile/\w+/00[012]"):
                reader.audit()
        file.write_bytes(data)
    TileReader(str(tmp_path), 514).audit()


def test_a_link_in_the_place_of_a_tile_is_not_followed(tmp_path: Path) -> None:
    Tiles(str(tmp_path)).append(leaves(0, 300))
    (tmp_path / "tile/0/000").rename(tmp_path / "elsewhere")
    (tmp_path / "tile/0/000").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match="tile/0/000 is a link"):
        TileReader(str(tmp_path), 300).inclusion(7)


def test_an_entry_longer_than_its_length_field_is_refused(tmp_path: Path) -> None:
    tiles = Tiles(str(tmp_path))
    tiles.append([bytes(65535)])
    with pytest.raises(ValueError, match="65535"):
        tiles.append([bytes(65536)])
    assert tiles.leaf(0) == bytes(65535)


def test_what_is_synced_is_the_same_tree(tmp_path: Path) -> None:
    tiles = Tiles(str(tmp_path), sync=True)
    for size in (0, 200, 256, 300):
        tiles.append(leaves(tiles.size, size))
    assert TileReader(str(tmp_path)).root() == roots(300).root()


def test_a_million_leaves_are_hashed_and_written_at_300000_a_second(tmp_path: Path) -> None:
    """A tenth of it here; the whole million with BELLJAR_LONG=1."""
    count = 1_000_000 if LONG else 100_000
    data = [i.to_bytes(56, "big") for i in range(count)]
    best = 0.0
    for attempt in range(3):  # the machine may be busy with something else
        start = time.perf_counter()
        Tree(map(leaf_hash, data))
        best = max(best, count / (time.perf_counter() - start))
        tiles = Tiles(str(tmp_path / str(attempt)))
        tiles.append(data)
    print(f"{best:.0f} leaves/s")
    assert best > 300_000 or not LONG
    assert best > 60_000
