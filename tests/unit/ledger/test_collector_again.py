"""A run that has been can not be begun again, by nobody, also when its records were pruned."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.unit.ledger.collecting import Raw, begin, machine
from tests.unit.ledger.conftest import OTHER, RUN, fill, packed

from belljar.cli.log import main as log
from belljar.errors import LedgerCorrupt
from belljar.ledger import END, EVENTS, START, Writer, former
from belljar.ledger.books import closed, name
from belljar.ledger.collect.begun import Begun
from belljar.ledger.collect.remote import RemoteWriter
from belljar.ledger.collect.wire import ACK, NO
from belljar.ledger.prune import prune
from belljar.ledger.reader import verify

ALL = 1 << 62


def runs_file(directory: str, first: int) -> Path:
    return Path(directory, name(first)).with_suffix(".runs")


def test_a_run_that_ended_and_was_pruned_cannot_begin_again_with_a_new_collector() -> None:
    with machine(book=300) as here:
        old = [os.urandom(16) for _ in range(3)]
        with RemoteWriter(here.path) as writer:
            for run in old:
                writer.append([(START, 1, packed({})), (END, 1, packed({}))], run)
        here.stop()
        with Writer(here.directory, clerk=False, book=300) as local:
            local.append([(EVENTS, 1, b"x" * 400)], RUN)
            local.append([(EVENTS, 1, b"x")], RUN)
        assert len(prune(here.directory, ALL, tree=ALL)) > 1
        assert verify(here.directory).runs == 0
        here.start()
        for run in old:
            with Raw(here.path) as other:
                kind, _number, _values, reason = other.say(begin(1, run))
                assert (kind, reason) == (NO, f"run {run.hex()} was begun before")
        with Raw(here.path) as other:
            assert other.say(begin(1, os.urandom(16)))[0] == ACK


def test_a_run_that_began_more_than_once_is_a_finding_of_verify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = str(tmp_path / "ledger")
    with Writer(directory, clerk=False, book=800) as writer:
        for run in (RUN, OTHER, RUN):
            fill(writer, run)
    assert verify(directory).again == (RUN,)
    assert log(["verify", directory]) == 0
    line = f"again: run {RUN.hex()} began more than once: its records are not of one run"
    assert line in capsys.readouterr().out.splitlines()
    assert log(["verify", "--json", directory]) == 0
    assert json.loads(capsys.readouterr().out)["again"] == [RUN.hex()]


def test_a_run_whose_first_beginning_was_pruned_is_found_too(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")
    with Writer(directory, clerk=False, book=600) as writer:
        fill(writer, RUN)
        fill(writer, OTHER)
        writer.append([(EVENTS, 1, b"x")], OTHER)
    assert verify(directory).again == ()
    assert len(prune(directory, ALL, tree=ALL)) > 0
    assert verify(directory).runs < 2
    with Writer(directory, clerk=False) as writer:
        fill(writer, RUN)
    assert verify(directory).again == (RUN,)


def test_a_pruning_that_was_killed_before_it_deleted_makes_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = str(tmp_path / "ledger")
    with Writer(directory, clerk=False, book=600) as writer:
        fill(writer, RUN)
        fill(writer, OTHER)
        writer.append([(EVENTS, 1, b"x")], OTHER)
    first = closed(directory)[0]
    former.keep(directory, [first])
    assert runs_file(directory, first).exists()
    assert verify(directory).again == ()
    prune(directory, ALL, tree=ALL)
    assert former.short(RUN) in former.runs(directory)


def test_a_list_of_former_runs_that_was_changed_is_named(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")
    with Writer(directory, clerk=False, book=600) as writer:
        fill(writer, RUN)
        fill(writer, OTHER)
        writer.append([(EVENTS, 1, b"x")], OTHER)
    first = prune(directory, ALL, tree=ALL)[0].book
    path = runs_file(directory, first)
    data = path.read_bytes()
    for other in (data[:-1], data[:9] + b"\xff" + data[10:], b"", data + b"x", b"BJruns2\n"):
        path.write_bytes(other)
        with pytest.raises(LedgerCorrupt, match="not as it was written"):
            verify(directory)
        assert "not as it was written" in Begun(directory).flaw
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(LedgerCorrupt):
        verify(directory)
