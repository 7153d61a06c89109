"""A ledger's directory, held: what a neighbour puts into its place meanwhile is never written."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from belljar.errors import LedgerError
from belljar.ledger import EVENTS, Writer, folders, use, way
from belljar.ledger import prune as prune_module
from belljar.ledger.proof.whole import examine
from belljar.ledger.reader import Reader
from belljar.ledger.sinks import store
from belljar.ledger.sinks.config import parse
from belljar.ledger.tree import notary, summon
from belljar.ledger.tree.clerk import Clerk

from .conftest import OTHER, packed


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def home(tmp_path: Path) -> str:
    """A ledger in a tree that its neighbour can rename directories in."""
    (tmp_path / "tree").mkdir()
    directory = str(tmp_path / "tree" / "ledger")
    with Writer(directory, clerk=False, book=300) as writer:
        for _ in range(4):
            writer.append([(EVENTS, 1, packed({"n": 1}) * 40)], OTHER, now=1)
    Clerk(directory).once()
    return directory


class Neighbour:
    """Puts a link to another directory in the place of the ledger."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.bait = os.path.join(os.path.dirname(os.path.dirname(directory)), "bait")
        os.mkdir(self.bait, 0o700)
        self.done = False

    def swap(self) -> None:
        if not self.done:
            self.done = True
            os.rename(self.directory, self.directory + "-away")
            os.symlink(self.bait, self.directory)

    def behind(self, monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> None:
        """Come as soon as `place.name` has returned."""
        real = getattr(place, name)

        def then(*given: Any, **named: Any) -> Any:
            found = real(*given, **named)
            self.swap()
            return found

        monkeypatch.setattr(place, name, then)

    @property
    def got(self) -> list[str]:
        assert self.done
        return sorted(os.listdir(self.bait))


@pytest.fixture
def neighbour(home: str) -> Neighbour:
    return Neighbour(home)


def test_a_writer_writes_where_it_looked(
    home: str, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbour.behind(monkeypatch, use, "check_folders")
    called: list[str] = []
    monkeypatch.setattr(os, "posix_spawn", lambda *_a, **_k: called.append("clerk") or 0)
    monkeypatch.delenv(summon.SETTING, raising=False)
    with Writer(home, book=300) as writer:
        for _ in range(4):
            writer.append([(EVENTS, 1, packed({"n": 1}) * 40)], OTHER)
    assert called
    assert neighbour.got == []
    with Reader(home + "-away") as reader:
        assert sum(1 for record in reader.records() if record.kind == EVENTS) == 8


def test_a_clerk_signs_where_it_looked(
    home: str, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Writer(home, clerk=False) as writer:
        writer.append([(EVENTS, 1, packed({"n": 1}))], OTHER)
    neighbour.behind(monkeypatch, use, "check_folders")
    clerk = Clerk(home)
    assert clerk.start()
    assert clerk.once() > 0
    assert neighbour.got == []
    monkeypatch.undo()
    os.unlink(home)
    os.rename(home + "-away", home)
    assert examine(home).unsigned == 0


def test_so_does_one_in_the_foreground_that_took_no_lock(
    home: str, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbour.behind(monkeypatch, notary.Notary, "end_epoch")
    Clerk(home).once()  # and what it says of itself lies beside what it signed
    assert neighbour.got == []


def test_a_clerk_whose_ledger_has_another_in_its_place_ends(home: str) -> None:
    clerk = Clerk(home, linger=600)
    assert clerk.start()
    Neighbour(home).swap()
    clerk.work()  # returns
    clerk.notary.close()


def test_pruning_deletes_where_it_looked(
    home: str, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbour.behind(monkeypatch, prune_module, "_unfinished")
    gone = prune_module.prune(home, before=1 << 62)
    assert gone
    assert neighbour.got == []
    for one in gone:
        assert not Path(home + "-away", f"books/{one.book:012}.blj").exists()


def test_a_sink_is_registered_where_it_was_looked(
    home: str, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    from belljar.ledger.sinks import folder

    neighbour.behind(monkeypatch, folder, "_mine")
    store.add(home, parse("jsonl:/tmp/none.jsonl"), every_run=True, first=1)
    assert neighbour.got == []
    assert store.names(home + "-away")


def test_an_auditor_reads_one_ledger_from_beginning_to_end(
    home: str, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    from belljar.ledger.proof import whole

    neighbour.behind(monkeypatch, whole, "state")
    found = examine(home)
    assert found.signed == found.report.records
    assert not found.unsigned
    assert neighbour.done


@pytest.mark.skipif(os.geteuid() != 0, reason="makes another user's link")
@pytest.mark.parametrize("step", range(1, 12))
def test_no_moment_on_the_way_is_one_in_which_a_link_is_followed(
    home: str, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whenever the neighbour comes: the ledger's own directory, or a refusal."""
    real, left = os.open, [step]

    def opening(*given: Any, **named: Any) -> int:
        left[0] -= 1
        if not left[0]:
            neighbour.swap()
            os.chown(home, 4711, 4711, follow_symlinks=False)
        return real(*given, **named)

    monkeypatch.setattr(way.os, "open", opening)
    found: list[folders.Held] = []
    with contextlib.suppress(LedgerError):  # "... is a link that user 4711 made"
        found.append(way.reach(home))
    there = home + "-away" if neighbour.done else home
    assert all(os.path.samestat(os.fstat(one.fd), os.stat(there)) for one in found)
    assert found or neighbour.done


def test_what_is_missing_on_the_way_is_made(tmp_path: Path) -> None:
    held = way.reach(str(tmp_path / "a" / "b"), make=True)
    assert os.path.samestat(os.fstat(held.fd), os.stat(tmp_path / "a" / "b"))
    assert os.stat(tmp_path / "a" / "b").st_mode & 0o777 == 0o700
    with pytest.raises(FileNotFoundError) as told:
        way.reach(str(tmp_path / "c" / "d"))
    assert told.value.filename == str(tmp_path / "c" / "d")


def test_own_links_lead_on_and_loops_end(tmp_path: Path) -> None:
    (tmp_path / "there" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("there/../there/deep")
    (tmp_path / "round").symlink_to("round")
    held = way.reach(str(tmp_path / "link"))
    assert os.path.samestat(os.fstat(held.fd), os.stat(tmp_path / "there" / "deep"))
    assert folders.real(held) == str(tmp_path / "there" / "deep")
    with pytest.raises(OSError, match="symbolic links"):
        way.reach(str(tmp_path / "round"))


def test_what_is_held_is_closed_with_its_last_holder(home: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    held = folders.held(home)
    assert folders.held(held) is held
    reader = Reader(held)
    reader.close()
    del held, reader
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_checkpoint_is_put_beside_the_ledger_that_was_looked_at(
    home: str, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Writer(home, clerk=False) as writer:
        writer.append([(EVENTS, 1, packed({"n": 1}))], OTHER)
    one = notary.Notary(home)
    neighbour.behind(monkeypatch, notary.Notary, "_chain_to_disk")
    one.round()
    one.close()
    assert neighbour.got == []


@pytest.mark.skipif(os.geteuid() != 0, reason="makes another user's link")
def test_the_keys_of_a_new_ledger_are_not_noted_where_anothers_link_leads(
    home: str, tmp_path: Path
) -> None:

    shutil.rmtree(tmp_path / "state")
    (tmp_path / "precious").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "precious")
    os.chown(tmp_path / "state", 4711, 4711, follow_symlinks=False)
    with Writer(home + "2", clerk=False) as writer:
        writer.append([(EVENTS, 1, packed({"n": 1}))], OTHER)
    clerk = Clerk(home + "2")
    clerk.once()
    assert "is a link that user 4711 made" in clerk.notary.warning
    assert os.listdir(tmp_path / "precious") == []
