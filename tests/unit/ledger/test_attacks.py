"""Files that somebody put into a ledger to make others do his work, wait, or believe him.

Each of these did harm once: a clerk that ran as root deleted what a link led to.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import Writer
from belljar.ledger.format import EPOCH, RECOVERED
from belljar.ledger.proof.whole import examine
from belljar.ledger.reader import read
from belljar.ledger.tree import clerk, custody, epochs, keys
from belljar.ledger.tree.clerk import Clerk
from belljar.ledger.tree.notary import Notary
from belljar.ledger.tree.tiles import Tiles
from belljar.ledger.writer import NO_RUN

from .conftest import OTHER, fill, packed


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """What waits for a pipe, or reads without end, is interrupted."""

    def late(*_: object) -> None:
        raise AssertionError("it waits, or has no end")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def signed(ledger: str) -> str:
    resign(ledger, end=True)
    return ledger


def resign(ledger: str, *, end: bool = False) -> None:
    notary = Notary(ledger)
    try:
        notary.round()
        if end:
            notary.end_epoch()
    finally:
        notary.close()


# -- links: whoever writes goes nowhere else


@pytest.mark.parametrize("folder", ["tile", "tile/0", "tile/entries", "tile/0/000.p"])
def test_a_clerk_deletes_and_writes_nothing_through_a_link(
    signed: str, tmp_path: Path, folder: str
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in ("9", "99", "5.tmp", "passwd", "000", "0", "000.tmp"):
        (victim / name).write_text("precious")
    (victim / "000.p").mkdir()
    (victim / "000.p/9").write_text("precious")
    before = {str(p): p.read_bytes() for p in victim.rglob("*") if p.is_file()}
    shutil.rmtree(Path(signed, folder))
    Path(signed, folder).symlink_to(victim)
    with pytest.raises(LedgerCorrupt, match="is a link, or not what it must be"):
        examine(signed)
    with pytest.raises(LedgerError):
        Tiles(signed, 1).append([b"x"])
    with Writer(signed, clerk=False) if folder != "tile" else open(os.devnull) as writer:
        if folder != "tile":
            fill(writer, OTHER)
    try:
        resign(signed)
    except LedgerError as error:
        assert "link" in str(error)  # noqa: PT017 - or it makes the tiles anew, beside
    assert {str(p): p.read_bytes() for p in victim.rglob("*") if p.is_file()} == before


def test_only_partial_tiles_are_removed_from_their_folder(tmp_path: Path) -> None:
    tiles = Tiles(str(tmp_path))
    tiles.append([b"%d" % i for i in range(200)])
    folder = tmp_path / "tile/0/000.p"
    for name in ("7", "255.tmp", "256", "012", "0", "note", "\N{SUPERSCRIPT TWO}", "1" * 40):
        (folder / name).write_text("x")
    tiles.append([b"%d" % i for i in range(200, 256)])
    there = {p.name for p in folder.iterdir()}
    assert there == {"256", "012", "0", "note", "\N{SUPERSCRIPT TWO}", "1" * 40}
    again = Tiles(str(tmp_path))
    assert again.size == 256
    assert again.append([b"256"]) == 257


def test_a_tile_with_a_name_that_only_looks_like_a_number_is_none(signed: str) -> None:
    for name in ("\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT THREE}", "00", "5x"):
        Path(signed, "tile/0/000.p", name).write_text("x")
    assert examine(signed).signed == 5
    with Writer(signed, clerk=False) as writer:
        fill(writer)
    resign(signed)
    assert Tiles(signed).size == 9


@pytest.mark.parametrize("name", ["books", "keys", "witness", "sinks", "tile"])
def test_verify_calls_a_folder_that_is_a_link_broken(
    signed: str, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(signed, name)
    elsewhere = tmp_path / "elsewhere"
    if folder.exists():
        folder.rename(elsewhere)
    else:
        elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    assert main(["verify", signed]) == 1
    assert capsys.readouterr().out.startswith("broken: ")


# -- who writes refuses what others can write, root too; who reads does not


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o770, 0o702])
@pytest.mark.parametrize("name", ["", "books", "keys", "sinks", "tile"])
def test_who_writes_refuses_folders_that_others_can_write(
    signed: str, name: str, mode: int
) -> None:
    folder = Path(signed, name)
    folder.mkdir(exist_ok=True, mode=0o700)
    folder.chmod(mode)
    who = r"cannot trust the ledger directory .*: (anyone|others) can write it; .* chmod 700 it"
    for write in (Writer, resign, lambda where: Clerk(where).start()):
        with pytest.raises(LedgerError, match=who):
            write(signed)
    assert examine(signed).signed == 5


def test_a_directory_that_others_can_write_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all").chmod(0o1777)
    with pytest.raises(LedgerError, match="anyone can write it"):
        Writer(str(tmp_path / "all"))
    assert not list((tmp_path / "all").iterdir())


@pytest.mark.parametrize("name", ["books", "keys", "sinks", "tile"])
def test_who_writes_refuses_a_link_in_the_place_of_a_folder(
    signed: str, tmp_path: Path, name: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(Path(signed, name), ignore_errors=True)
    Path(signed, name).symlink_to(tmp_path / "elsewhere")
    for write in (Writer, resign, lambda where: Clerk(where).start()):
        with pytest.raises(LedgerError, match=f"{name} is a link or a file"):
            write(signed)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_who_writes_refuses_another_users_ledger_and_who_reads_does_not(
    signed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 0 if me else 4711)  # root is no exception
    before = sorted(os.listdir(signed))
    for write in (Writer, resign, lambda where: Clerk(where).start()):
        with pytest.raises(LedgerError, match=f"it belongs to user {me}, and user .* would write"):
            write(signed)
    with pytest.raises(LedgerError, match=f"it belongs to user {me}, not to"):
        keys.load(signed + "/" + keys.FIXED)
    assert sorted(os.listdir(signed)) == before
    assert examine(signed).signed == 5
    assert len(list(read(signed))) == 5
    assert main(["verify", signed]) == 0
    assert main(["tail", signed]) == 0
    assert "whole: 5 records" in capsys.readouterr().out


# -- pipes, and files without end


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint", "epochs", "keys/public", "keys/epochs", "keys/fixed", "keys/epoch",
        "tile/0/000.p/5", "tile/entries/000.p/5", "clerk.state", "ledger.blj", "torn-1-2.bin",
    ],
)  # fmt: skip
def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(signed: str, name: str) -> None:
    if name.startswith("torn"):
        with Writer(signed, clerk=False) as writer:
            told = packed({"file": name, "offset": 1, "length": 0, "sha256": "0" * 64})
            writer.append_stored([([(RECOVERED, 1, 0, told)], NO_RUN)])
    else:
        Path(signed, name).unlink(missing_ok=True)
    os.mkfifo(Path(signed, name))
    if name == "clerk.state":
        assert examine(signed).signed == 5
        assert clerk.state(signed) == {}
        return
    with pytest.raises(LedgerError, match="not a regular file"):
        examine(signed)


def test_a_pipe_among_torn_ends_holds_up_no_writer(signed: str) -> None:
    os.mkfifo(Path(signed, "torn-1-2.part"))
    os.mkfifo(Path(signed, "checkpoint.tmp"))
    with Writer(signed, clerk=False) as writer:
        fill(writer)
    resign(signed)
    assert examine(signed).unsigned == 0


def test_a_torn_end_is_hashed_once_however_many_records_name_it(
    signed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 64 << 20
    with open(Path(signed, "torn-1-2.bin"), "wb") as file:
        file.truncate(size)
    digest = hashlib.sha256(bytes(size)).hexdigest()
    told = packed({"file": "torn-1-2.bin", "offset": 1, "length": size, "sha256": digest})
    with Writer(signed, clerk=False) as writer:
        writer.append_stored([([(RECOVERED, 1, 0, told)] * 3000, NO_RUN)])
        long = told + bytes(5 << 20)
        writer.append_stored([([(RECOVERED, 1, 0, long)] * 3, NO_RUN)])
    begin = time.process_time()
    tracemalloc.start()
    try:
        found = examine(signed)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.report.recovered, found.gone, found.unread) == (3003, (), ())
    assert time.process_time() - begin < 10
    assert peak < 20 << 20, "a payload is kept that is none of ours"
    monkeypatch.setattr(custody, "MOST_OF_SIDES", size - 1)
    assert examine(signed).unread == ("torn-1-2.bin",)


def test_torn_ends_are_read_up_to_a_bound_and_verify_says_what_is_not(
    signed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    size = 1 << 40
    with open(Path(signed, "torn-1-2.bin"), "wb") as file:
        file.truncate(size)
    with Writer(signed, clerk=False) as writer:
        told = {"file": "torn-1-2.bin", "offset": 1, "length": size, "sha256": "0" * 64}
        writer.append_stored([([(RECOVERED, 1, 0, packed(told))], NO_RUN)])
    assert main(["verify", signed]) == 0
    assert "not read: torn-1-2.bin, a torn end of the past" in capsys.readouterr().out
    os.truncate(Path(signed, "torn-1-2.bin"), 5)
    with pytest.raises(LedgerCorrupt, match=r"torn-1-2\.bin is not what entry"):
        examine(signed)


@pytest.mark.parametrize("line", [b"\n", b"x" * 100 + b"\n", b"y", "\u2014 x\ny\n".encode()])
def test_what_is_no_note_in_epochs_ends_the_reading_there(
    signed: str, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "MAX_EPOCHS", 1 << 15)
    with open(Path(signed, "epochs"), "ab") as file:
        file.write(b"\n" + line * (24_000_000 // len(line)))
    tracemalloc.start()
    try:
        with pytest.raises(LedgerCorrupt, match=r"note [0-9]+ of epochs"):
            examine(signed)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_lines_of_keys_that_no_epoch_has_are_not_even_read(signed: str) -> None:
    path = Path(signed, epochs.KEYS)
    path.write_bytes(path.read_bytes() * 50_000)
    tracemalloc.start()
    try:
        with pytest.raises(LedgerCorrupt, match="keys/epochs is longer than"):
            examine(signed)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("more", [b"x", b"belljar.ledger/0+", bytes(30), b"0 "])
def test_nothing_can_be_added_at_the_end_of_the_lines_of_keys(signed: str, more: bytes) -> None:
    with open(Path(signed, epochs.KEYS), "ab") as file:
        file.write(more)
    with pytest.raises(LedgerCorrupt, match="line 2 of keys/epochs is none that a clerk began"):
        examine(signed)


# -- another ledger, by a link


def test_a_link_in_the_place_of_a_known_ledger_does_not_pass_for_it(
    signed: str, tmp_path: Path
) -> None:
    with Writer(str(tmp_path / "evil"), clerk=False) as writer:
        fill(writer, OTHER)
    resign(str(tmp_path / "evil"))
    Path(signed).rename(tmp_path / "away")
    Path(signed).symlink_to(tmp_path / "evil")
    with pytest.raises(LedgerCorrupt, match="does not hold the keys of the ledger that belongs"):
        examine(signed)
    assert examine(str(tmp_path / "evil")).trust == "noted"
    # What was moved, and is reached by a link from its old place, is itself.
    Path(signed).unlink()
    Path(signed).symlink_to("away")
    assert examine(signed).trust == "noted"


def test_nor_does_a_link_further_up(tmp_path: Path) -> None:
    for name in ("home", "evil"):
        with Writer(str(tmp_path / name / "state/ledger"), clerk=False) as writer:
            fill(writer)
        resign(str(tmp_path / name / "state/ledger"))
    (tmp_path / "home/state").rename(tmp_path / "home/old")
    (tmp_path / "home/state").symlink_to(tmp_path / "evil/state")
    with pytest.raises(LedgerCorrupt, match="does not hold the keys of the ledger that belongs"):
        examine(str(tmp_path / "home/state/ledger"))


def test_an_epoch_record_that_no_clerk_wrote_stops_the_clerk(ledger: str) -> None:
    notary = Notary(ledger)
    notary.round()
    origin = Path(ledger, "checkpoint").read_text().split("\n")[0]
    payload = epochs.commitment(1, keys.new_epoch(origin, 1).public)
    with Writer(ledger) as writer:
        writer.append([(EPOCH, 1, payload)], NO_RUN)
    with pytest.raises(LedgerCorrupt, match=r"record 5 \(entry 7\) ends the epoch, but no clerk"):
        notary.round()
