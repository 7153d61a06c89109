"""What somebody who owns a ledger puts beside its records, and how much it costs to look at it."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import DECISIONS, END, EVENTS, START, Writer, former
from belljar.ledger import prune as prune_module
from belljar.ledger.collect import wire
from belljar.ledger.cursor import Cursor
from belljar.ledger.format import (
    DEFLATED,
    MAX_PAYLOAD,
    MOST_ENTRIES,
    PRUNED,
    encode,
    file_header,
    sha256,
)
from belljar.ledger.former import Seen
from belljar.ledger.notes import check
from belljar.ledger.proof.whole import examine
from belljar.ledger.pruned import pack, parse
from belljar.ledger.reader import Reader, verify
from belljar.ledger.tree.clerk import Clerk
from belljar.ledger.writer import NO_RUN

from .conftest import OTHER, packed


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def forged(first: int, count: int, payload: bytes, kind: int = EVENTS) -> bytes:
    """A book of one record that nobody wrote."""
    before = (bytes(32), first, first - 1) if first > 1 else None
    header = file_header(bytes(32), 1, before)
    fields = kind, 0, OTHER, first, count, 1
    parts, _own = encode(bytes(32), header[-32:], sha256, fields, payload)
    return header + b"".join(parts)


@pytest.mark.parametrize("first", [3, 17, 900])
def test_a_book_that_no_other_leads_to_is_none_of_the_ledger(ledger: str, first: int) -> None:
    with Writer(ledger, book=500) as writer:
        for _ in range(9):
            writer.append([(EVENTS, 2, os.urandom(200))], OTHER)
    assert verify(ledger).books > 2
    Path(ledger, f"books/{first:012}.blj").write_bytes(forged(first, 1, packed({})))
    for look in (verify, examine):
        with pytest.raises(LedgerCorrupt, match=f"books/{first:012}.blj is no book of this"):
            look(ledger)


@pytest.mark.parametrize("count", [4097, (1 << 32) - 1])
def test_a_few_bytes_are_not_billions_of_entries(ledger: str, count: int) -> None:
    with pytest.raises(ValueError, match="entries"):
        check([(EVENTS, count, b"")], OTHER)
    Path(ledger, "ledger.blj").write_bytes(forged(1, count, b""))
    for look in (verify, examine):
        with pytest.raises(LedgerCorrupt, match="impossible length or count"):
            look(ledger)


def test_what_a_collector_takes_can_be_read(ledger: str) -> None:
    with pytest.raises(wire.Malformed):
        wire.check(DECISIONS, MOST_ENTRIES + 1, 0, MAX_PAYLOAD)
    wire.check(DECISIONS, MOST_ENTRIES, 0, MAX_PAYLOAD)
    groups = []
    for kind, flags in ((EVENTS, DEFLATED), (EVENTS, 0), (DECISIONS, 0), (START, 0), (END, 0)):
        for length in (1, 40, 600, 5000, 20_000, 200_000):
            low, high = 0, MOST_ENTRIES
            while low < high:
                middle = (low + high + 1) // 2
                try:
                    wire.check(kind, middle, flags, length)
                    low = middle
                except wire.Malformed:
                    high = middle - 1
            if low:
                groups.append(([(kind, low, flags, bytes(length))], OTHER))
    before = verify(ledger).records
    with Writer(ledger) as writer:
        writer.append_stored(groups)
    assert verify(ledger).records == before + len(groups)


def test_a_hole_is_not_read(ledger: str) -> None:
    with Writer(ledger) as writer:
        writer.append([(EVENTS, 1, b"x")], OTHER)
    path = os.path.join(ledger, "ledger.blj")
    os.truncate(path, 1 << 42)
    began = time.monotonic()
    assert verify(ledger).torn > 1 << 41
    assert time.monotonic() - began < 5
    with open(path, "r+b") as file:
        file.seek(1 << 41)
        file.write(b"x")
    with pytest.raises(LedgerCorrupt):
        verify(ledger)


def test_former_runs_in_many_files_do_not_fill_the_memory(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkdir(os.path.join(ledger, "books"), 0o700)
    data = b"BJruns1\n" + os.urandom(8 * 1000)
    first = Path(ledger, "books/000000000001.runs")
    first.write_bytes(data + sha256(data).digest())
    for number in range(2, 200):
        os.link(first, Path(ledger, f"books/{number:012}.runs"))
    monkeypatch.setattr(former, "MOST_RUNS", 3000)
    tracemalloc.start()
    Seen(ledger)
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()
    assert len(former.runs(ledger)) == 199 * 1000


def test_a_record_of_what_was_pruned_does_not_fill_the_memory(ledger: str) -> None:
    payload = b"\xdf" + (1 << 20).to_bytes(4, "big") + b"\x80" * (1 << 21)
    tracemalloc.start()
    assert parse(payload) is None
    assert parse(b"\x81\xa5books\xdd" + (1 << 22).to_bytes(4, "big") + b"\x80" * (1 << 22)) is None
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="makes another user's link")
@pytest.mark.parametrize("place", ["mine/ledger", "mine/his/ledger", "mine/far/ledger"])
def test_nobody_writes_where_anothers_link_leads(tmp_path: Path, place: str) -> None:
    precious, mine = tmp_path / "precious", tmp_path / "mine"
    precious.mkdir(0o700)
    mine.mkdir(0o700)
    (mine / "ledger").symlink_to("../precious")
    (mine / "his").symlink_to(precious)
    (mine / "far").symlink_to("../mine/his")
    for name in ("ledger", "his"):
        os.chown(mine / name, 4711, 4711, follow_symlinks=False)
    for write in (Writer, lambda where: Clerk(where).start()):
        with pytest.raises((LedgerError, FileNotFoundError)) as caught:
            write(str(tmp_path / place))
        assert "is a link that user 4711 made" in str(caught.value)
    assert not list(precious.iterdir())
    for name in ("ledger", "his"):
        os.chown(mine / name, 0, 0, follow_symlinks=False)
    Writer(str(tmp_path / place), clerk=False).close()
    assert len(list(precious.rglob("ledger.blj"))) == 1


def test_a_whole_record_behind_a_torn_one_is_no_torn_end(ledger: str) -> None:
    path = Path(ledger, "ledger.blj")
    with Reader(ledger) as reader:
        assert list(reader.records())
        first, fd, chain = reader.position, os.open(path, os.O_RDONLY), reader.place()[2]
    seed = Cursor(fd).seed
    os.close(fd)
    fields = EVENTS, 0, OTHER, first, 1, 1
    begun = b"".join(encode(seed, chain, sha256, fields, bytes(5000))[0])[:3000]
    with path.open("ab") as file:
        file.write(begun)
    assert verify(ledger).torn == 3000
    forged = b"".join(encode(seed, begun[-36:-4], sha256, fields, b"forged")[0])
    with path.open("ab") as file:
        file.write(forged)
    for look in (verify, examine):
        with pytest.raises(LedgerCorrupt, match="is torn, and a whole one"):
            look(ledger)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a ledger to another user")
def test_who_prunes_anothers_ledger_deletes_and_writes_nothing(ledger: str) -> None:
    with Writer(ledger, book=500, clerk=False) as writer:
        for _ in range(9):
            writer.append([(EVENTS, 2, os.urandom(200))], OTHER)
        gone = prune_module._look(ledger, 1, 1 << 62)
        assert gone is not None
        writer.append([(PRUNED, 1, pack(1, [gone]))], NO_RUN)
    for path in (Path(ledger), *Path(ledger).rglob("*")):
        os.chown(path, 4711, 4711)
    before = sorted(Path(ledger).rglob("*"))
    for tree in (None, 1 << 40):
        with pytest.raises(LedgerError, match="belongs to user 4711"):
            prune_module.prune(ledger, 1 << 62, tree=tree)
    assert sorted(Path(ledger).rglob("*")) == before


def test_more_sinks_than_a_ledger_has_are_not_read_one_by_one(ledger: str) -> None:
    os.mkdir(os.path.join(ledger, "sinks"), 0o700)
    long = Path(ledger, "sinks/a.json")
    long.write_bytes(b"[" + b"{}," * 300_000 + b"{}]")
    for number in range(5000):
        os.link(long, Path(ledger, f"sinks/{number}.json"))
    began = time.monotonic()
    with pytest.raises(LedgerCorrupt, match="sinks has 5001 sinks"):
        examine(ledger)
    assert time.monotonic() - began < 5
