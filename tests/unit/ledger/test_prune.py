"""Pruning: what goes, what stays provable, and a kill at any moment."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from belljar.cli.log import main
from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import EVENTS, START, Writer, former
from belljar.ledger import prune as prune_module
from belljar.ledger.books import FOLDER, closed, name
from belljar.ledger.entries import entry
from belljar.ledger.format import PRUNED, sha256
from belljar.ledger.prune import prune
from belljar.ledger.pruned import pack, parse
from belljar.ledger.reader import Reader, read, verify
from belljar.ledger.runs import find

from .conftest import OTHER, RUN, fill, frame, packed

SECOND = 10**9
ALL = 1 << 40  # a tree that covers everything


@pytest.fixture
def shelf(tmp_path: Path) -> str:
    """Six records a book, one a second, from second 0 on."""
    directory = str(tmp_path / "ledger")
    with Writer(directory, book=1000, clerk=False) as writer:
        for second in range(36):
            writer.append([(EVENTS, 2, frame() * 2)], RUN, second * SECOND)
    assert len(closed(directory)) == 6
    return directory


def test_books_wholly_older_than_the_date_go_and_the_rest_is_whole(shelf: str) -> None:
    firsts = closed(shelf)
    records = list(read(shelf))
    later = [r for r in records if r.first >= firsts[3]]
    # The CLOSED record of a book is written by the clock: no book of these is old before now.
    assert prune(shelf, 20 * SECOND, tree=ALL) == []
    newest = max(r.time for r in records if r.first < firsts[3])
    sizes = [os.path.getsize(os.path.join(shelf, name(first))) for first in firsts]
    gone = prune(shelf, newest + 1, tree=ALL)
    assert [one.book for one in gone] == firsts[: len(gone)]
    assert len(gone) >= 3
    assert [one.size for one in gone] == sizes[: len(gone)]
    assert closed(shelf) == firsts[len(gone) :]
    assert gone[0].index == 0
    assert [a.index + a.records for a in gone[:-1]] == [b.index for b in gone[1:]]
    assert [a.book + a.entries for a in gone[:-1]] == [b.book for b in gone[1:]]
    report = verify(shelf)
    assert report.pruned == gone[-1].book + gone[-1].entries - 1
    rest = list(read(shelf))
    assert [r.own for r in rest[: len(later)]][-1] in {r.own for r in later}
    assert rest[0].index == gone[-1].index + gone[-1].records
    assert rest[-1].kind == PRUNED


def test_the_reader_says_what_was_pruned(shelf: str) -> None:
    (*_gone, last) = prune(shelf, 1 << 62, tree=ALL)
    begins = last.book + last.entries
    with pytest.raises(LedgerError, match=rf"entry #1 was pruned: .* begins with #{begins}"):
        entry(shelf, 1)
    assert next(read(shelf, 1)).first == begins
    assert entry(shelf, begins).number == begins
    with Reader(shelf) as reader:
        assert reader.first == begins
        assert reader.skip_to_last(10**6) == begins
    with pytest.raises(LedgerError, match="has no run"):
        find(shelf)


def test_a_ledger_is_pruned_again_and_again(shelf: str) -> None:
    total = verify(shelf).records
    for _ in range(4):
        prune(shelf, 1 << 62, tree=ALL)
        with Writer(shelf, book=1000, clerk=False) as writer:
            for _ in range(15):
                writer.append([(EVENTS, 2, frame() * 2)], OTHER)
        assert verify(shelf).pruned
    found = list(read(shelf))
    assert found[0].index + len(found) > total + 60


def test_the_open_book_and_the_uncovered_stay(shelf: str) -> None:
    before = closed(shelf)
    with pytest.raises(LedgerError, match=r"covers 0 records.*run `belljar log checkpoint` first"):
        prune(shelf, 1 << 62)
    Path(shelf, "checkpoint").write_text("origin\n12\nroot\n")
    with pytest.raises(LedgerError, match="covers 12 records"):
        prune(shelf, 1 << 62)
    assert closed(shelf) == before
    assert PRUNED not in {r.kind for r in read(shelf)}
    Path(shelf, "checkpoint").write_text(f"origin\n{verify(shelf).records}\nroot\n")
    assert len(prune(shelf, 1 << 62)) == 6
    assert closed(shelf) == []
    assert os.path.exists(shelf + "/ledger.blj")
    assert prune(shelf, 1 << 62) == []


def test_a_book_that_does_not_verify_is_left_alone(shelf: str) -> None:
    first = closed(shelf)[1]
    path = Path(shelf, name(first))
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerCorrupt, match=name(first)):
        prune(shelf, 1 << 62, tree=ALL)
    assert len(closed(shelf)) == 6


def test_two_do_not_prune_at_once(shelf: str) -> None:
    import fcntl

    fd = os.open(os.path.join(shelf, FOLDER), os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(LedgerError, match="is being pruned already"):
        prune(shelf, 1 << 62, tree=ALL)
    os.close(fd)


@pytest.mark.parametrize("kept", range(7))
def test_a_pruning_that_is_killed_is_finished_by_the_next(
    shelf: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = os.fork()
    if child == 0:
        unlink = os.unlink
        left = 6 - kept

        def few(*args: object, **options: object) -> None:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            unlink(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "unlink", few)
        try:
            prune(shelf, 1 << 62, tree=ALL)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert len(closed(shelf)) == kept
    verify(shelf)  # and what is there is whole in between
    assert entry(shelf, verify(shelf).pruned + 1)
    assert len(prune(shelf, 0, tree=ALL)) == kept  # whatever date is asked for now
    assert closed(shelf) == []
    verify(shelf)


def test_a_reader_at_work_goes_on_over_what_is_pruned(shelf: str) -> None:
    total = verify(shelf).entries
    with Reader(shelf) as reader:
        each = reader.records()
        got = [next(each).first]
        prune(shelf, 1 << 62, tree=ALL)
        got += [record.first for record in each]
    assert got == sorted(set(got))
    assert got[-1] == total + 1


def test_nobody_can_claim_that_something_was_pruned(shelf: str) -> None:
    """A PRUNED record of other books, or of another ledger, excuses nothing."""
    import shutil

    other = shelf + "-other"
    with Writer(other, book=1000, clerk=False) as writer:
        for second in range(36):
            writer.append([(EVENTS, 2, frame() * 2)], RUN, second * SECOND)
    prune(other, 1 << 62, tree=ALL)
    payload = next(r.payload for r in read(other) if r.kind == PRUNED)
    with Writer(shelf, clerk=False) as writer:
        writer.append([(PRUNED, 1, payload)], bytes(16))
        writer.append([(PRUNED, 1, b"junk")], bytes(16))
    os.unlink(os.path.join(shelf, name(1)))
    with pytest.raises(LedgerCorrupt, match="are missing, and no record says they were pruned"):
        verify(shelf)
    shutil.rmtree(other)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x80", b"\xc1", b"\x81\xa5books\x91\x80", b"\x91" * 5000, b"\x81\xa5books\x90"],
)
def test_what_is_no_such_record_is_none(payload: bytes) -> None:
    assert parse(payload) is None


def test_as_json_it_always_says_what_it_did(shelf: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--before", "1999-01-01", "--json", shelf]) == 0
    nothing = {"pruned": 0, "before": 915148800 * SECOND, "books": []}
    assert json.loads(capsys.readouterr().out) == nothing
    Path(shelf, "checkpoint").write_text("origin\n999\nroot\n")
    assert main(["prune", "--before", "2099-01-01", "--json", shelf]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pruned"] == len(found["books"]) == 6
    assert found["books"][0]["book"] == 1


def test_the_command_says_what_it_did(shelf: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--before", "1999-01-01", shelf]) == 0
    assert capsys.readouterr().out == (
        "nothing to prune: no closed book is wholly older than 1999-01-01T00:00:00.000Z\n"
    )
    assert main(["prune", "--before", "2099-01-01", shelf]) == 1
    assert "run `belljar log checkpoint` first" in capsys.readouterr().err
    Path(shelf, "checkpoint").write_text("origin\n999\nroot\n")
    assert main(["prune", shelf, "--before", "2099-01-01T00:00+02:00"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("pruned: entries 1 to 13, ")
    assert main(["prune", "--before", "soon", shelf]) == 2
    assert "expected a time such as 2026-11-21 or 2h, got 'soon'" in capsys.readouterr().err
    assert main(["prune", shelf]) == 2
    with Writer(shelf, clerk=False) as writer:
        fill(writer)


@pytest.fixture
def twice(tmp_path: Path) -> str:
    """A ledger that was pruned twice, with runs that began in what is gone."""
    directory = str(tmp_path / "ledger")
    for turn in range(2):
        with Writer(directory, book=600, clerk=False) as writer:
            for number in range(12):
                writer.append([(START, 1, packed({}))], bytes((turn, number)) * 8)
                writer.append([(EVENTS, 2, frame() * 2)], RUN)
        assert prune(directory, 1 << 62, tree=ALL)
    verify(directory)
    return directory


@pytest.mark.parametrize("which", [0, -1])
def test_who_deletes_the_list_of_a_former_books_runs_is_found_out(twice: str, which: int) -> None:
    lists = sorted(Path(twice, FOLDER).glob("*.runs"))
    assert len(lists) > 3
    lists[which].unlink()
    with pytest.raises(LedgerCorrupt, match=r"\.runs.* missing"):
        verify(twice)


def test_so_is_who_writes_it_anew_or_adds_one(twice: str) -> None:
    lists = sorted(Path(twice, FOLDER).glob("*.runs"))
    before = lists[0].read_bytes()
    empty = b"BJruns1\n"
    lists[0].write_bytes(empty + sha256(empty).digest())
    with pytest.raises(LedgerCorrupt, match="are not as they were"):
        verify(twice)
    lists[0].write_bytes(before)
    verify(twice)
    Path(twice, FOLDER, f"{2:012}.runs").write_bytes(empty + sha256(empty).digest())
    with pytest.raises(LedgerCorrupt, match="not all ours"):
        verify(twice)


def test_a_pruning_that_wrote_lists_and_was_killed_is_no_flaw(twice: str) -> None:
    with Writer(twice, book=600, clerk=False) as writer:
        for number in range(12):
            writer.append([(START, 1, packed({}))], bytes((9, number)) * 8)
    former.keep(twice, closed(twice))
    verify(twice)
    assert prune(twice, 1 << 62, tree=ALL)
    verify(twice)


def test_what_an_older_belljar_pruned_is_taken_as_it_is(
    twice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Writer(twice, book=600, clerk=False) as writer:
        for number in range(12):
            writer.append([(START, 1, packed({}))], bytes((9, number)) * 8)
    monkeypatch.setattr(prune_module, "pack", lambda before, books, _runs: pack(before, books))
    assert prune(twice, 1 << 62, tree=ALL)
    sorted(Path(twice, FOLDER).glob("*.runs"))[0].unlink()
    verify(twice)


def test_the_command_takes_ages(shelf: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--before", "30d", shelf]) == 0
    told = capsys.readouterr().out
    assert "nothing to prune" in told
    days = {time.strftime("%Y-%m-%d", time.gmtime(time.time() - 30 * 86400 - n)) for n in (0, 60)}
    assert any(day in told for day in days)
