"""The index is what the ledger says, and is made anew where it is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from belljar.cli import log_query
from belljar.cli.log import main
from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import END, EVENTS, START, Writer
from belljar.ledger.entries import expand
from belljar.ledger.format import PRUNED
from belljar.ledger.query import index as module
from belljar.ledger.query.ask import ask
from belljar.ledger.query.columns import opened
from belljar.ledger.query.index import Index, place
from belljar.ledger.reader import Reader, read

from .conftest import OTHER, RUN, fill, packed
from .everything import event, make

SOURCES = Path(__file__).parents[3] / "src" / "belljar"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def rows(directory: str, sql: str, *, keep: bool = True) -> list[tuple]:
    with Index(directory, keep=keep) as index, duckdb.connect(index.path, read_only=True) as base:
        return base.execute(sql).fetchall()


def test_every_entry_of_every_kind_is_in_it_with_what_the_ledger_says(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")
    count = make(directory)
    slow = [entry for record in read(directory) for entry in expand(record)]
    found = rows(directory, "SELECT entry, kind, pid, seq, run, reason FROM entries ORDER BY entry")
    assert len(found) == len(slow) == count
    for row, entry in zip(found, slow, strict=True):
        assert row == (
            entry.number, entry.kind, entry.pid or None, entry.seq or None, entry.run.hex(),
            entry.reason or None,
        )  # fmt: skip
    times = rows(directory, "SELECT epoch_ns(time), epoch_ns(recorded) FROM entries ORDER BY entry")
    for (when, recorded), entry in zip(times, slow, strict=True):
        assert when == (entry.time if entry.time < (1 << 63) - 1 else None)
        assert recorded == entry.recorded


def test_it_goes_on_where_it_ended_and_says_the_same_as_one_made_at_once(ledger: str) -> None:
    everything = "SELECT * FROM entries ORDER BY entry"
    for number in range(5):
        assert len(rows(ledger, everything)) == 6 * (number + 1)
        with Writer(ledger) as writer:
            fill(writer, run=bytes([number]) * 16)
    assert rows(ledger, everything) == rows(ledger, everything, keep=False)
    assert len(rows(ledger, "SELECT * FROM runs")) == 6


def test_it_is_not_made_anew_for_what_is_new(ledger: str, monkeypatch) -> None:
    rows(ledger, "SELECT 1")
    taken = []
    take = module.Columns.take
    monkeypatch.setattr(module.Columns, "take", lambda s, r: (taken.append(r.first), take(s, r)))
    rows(ledger, "SELECT 1")
    assert taken == []
    with Writer(ledger) as writer:
        writer.append([(START, 1, packed({}))], OTHER)
    rows(ledger, "SELECT 1")
    assert taken == [7]


@pytest.mark.parametrize("entries", [3, 6, 20])  # that of the test has six
def test_that_of_another_ledger_in_the_same_place_is_made_anew(
    tmp_path: Path, entries: int
) -> None:
    directory = str(tmp_path / "ledger")
    with Writer(directory) as writer:
        fill(writer)
    rows(directory, "SELECT 1")
    os.rename(directory, directory + ".old")
    with Writer(directory) as writer:
        writer.append([(EVENTS, 1, event("os.fork", []))] * entries, RUN)
    names = {name for (name,) in rows(directory, "SELECT name FROM entries")}
    assert names == {"os.fork"}


def test_an_older_copy_of_the_ledger_is_seen_as_it_is(ledger: str) -> None:
    path = os.path.join(ledger, "ledger.blj")
    older = Path(path).read_bytes()
    with Writer(ledger) as writer:
        fill(writer, run=OTHER)
    assert rows(ledger, "SELECT count(*) FROM entries") == [(12,)]
    Path(path).write_bytes(older)
    assert rows(ledger, "SELECT count(*) FROM entries") == [(6,)]


@pytest.mark.parametrize("how", ["garbage", "empty", "another database", "version", "cut"])
def test_a_file_that_is_no_index_is_made_anew(ledger: str, how: str) -> None:
    rows(ledger, "SELECT 1")
    path = Path(place(ledger)) / module.FILE
    if how == "garbage":
        path.write_bytes(b"\xff" * 50_000)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        if how == "another database":
            path.unlink()
        with duckdb.connect(str(path)) as base:
            base.execute(
                "CREATE TABLE x (a INTEGER)" if how[0] == "a" else "UPDATE raw.state SET version=0"
            )
    assert rows(ledger, "SELECT count(*) FROM entries") == [(6,)]


def test_a_build_that_was_killed_is_gone_on_with(ledger: str, monkeypatch) -> None:
    with Writer(ledger) as writer:
        for number in range(20):
            fill(writer, run=bytes([number + 1]) * 16)
    monkeypatch.setattr(module, "_ROWS", 10)
    flush, calls = Index._flush, []

    def stop(self, base, columns, last):
        calls.append(last.first)
        if len(calls) == 4:
            raise KeyboardInterrupt
        flush(self, base, columns, last)

    monkeypatch.setattr(Index, "_flush", stop)
    with pytest.raises(KeyboardInterrupt):
        rows(ledger, "SELECT 1")
    monkeypatch.setattr(Index, "_flush", flush)
    everything = "SELECT * FROM entries ORDER BY entry"
    assert rows(ledger, everything) == rows(ledger, everything, keep=False)
    assert len(rows(ledger, everything)) == 126


def test_only_its_owner_can_read_it_and_others_may_not_write_it(ledger: str) -> None:
    with Index(ledger) as index:
        assert os.stat(index.path).st_mode & 0o777 == 0o600
        folder = os.path.dirname(index.path)
        assert os.stat(folder).st_mode & 0o777 == 0o700
    os.chmod(folder, 0o777)
    with pytest.raises(LedgerError, match="others can write it"):
        Index(ledger)


def test_one_that_is_not_kept_leaves_nothing(ledger: str, cache: Path) -> None:
    with Index(ledger, keep=False) as index:
        folder = os.path.dirname(index.path)
        assert os.path.exists(index.path)
    assert not os.path.exists(folder)
    assert not cache.exists()


def test_a_ledger_with_a_flaw_is_named_and_not_indexed_beyond_it(ledger: str) -> None:
    path = Path(ledger) / "ledger.blj"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerCorrupt, match="at offset"):
        Index(ledger)


def test_no_ledger_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot read the ledger"):
        Index(str(tmp_path / "none"))


def test_an_empty_ledger_has_no_rows(tmp_path: Path) -> None:
    with Writer(str(tmp_path)):
        pass
    assert rows(str(tmp_path), "SELECT count(*) FROM entries") == [(0,)]


def test_a_run_that_ended_twice_is_one_row(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")
    with Writer(directory) as writer:
        ends = [(END, 1, packed({"status": status})) for status in (1, 2)]
        writer.append([(START, 1, packed({})), *ends], RUN)
    assert rows(directory, "SELECT run, status FROM runs") == [(RUN.hex(), 2)]


def test_progress_is_told_of_every_part(ledger: str, monkeypatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    told: list[tuple[int, int]] = []
    with Index(ledger, progress=lambda done, of: told.append((done, of))):
        pass
    assert told[-1][0] == 6
    assert {of for _, of in told} == {6}
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_is_pruned_goes_from_the_index_too(ledger: str, monkeypatch) -> None:
    rows(ledger, "SELECT 1")
    taken = []
    take = module.Columns.take
    monkeypatch.setattr(module.Columns, "take", lambda s, r: (taken.append(r.first), take(s, r)))
    with Writer(ledger) as writer:
        writer.append([(PRUNED, 1, packed({"before": 3}))], bytes(16))
    assert rows(ledger, "SELECT count(*) FROM entries") == [(7,)]
    assert taken == [1, 2, 4, 6, 7]
    rows(ledger, "SELECT 1")
    assert len(taken) == 5


def test_queries_at_once_share_one_index_while_the_ledger_grows(ledger: str) -> None:
    code = (
        "import sys; from belljar.ledger.query.ask import ask\n"
        "seen = 0\n"
        "for _ in range(6):\n"
        "    with ask(sys.argv[1], 'SELECT count(*), max(entry) FROM entries') as found:\n"
        "        ((count, last),) = found.rows\n"
        "    assert count == last >= seen, (count, last, seen)\n"
        "    seen = count\n"
    )
    command = [sys.executable, "-c", code, ledger]
    asking = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    with Writer(ledger) as writer:
        while any(one.poll() is None for one in asking):
            fill(writer, run=OTHER)
            time.sleep(0.02)
    for one in asking:
        _, err = one.communicate()
        assert one.returncode == 0, err.decode()
    everything = "SELECT * FROM entries ORDER BY entry"
    assert rows(ledger, everything) == rows(ledger, everything, keep=False)


def test_nothing_draws_a_progress_bar_on_standard_output(ledger: str, tmp_path: Path) -> None:
    bars = "SELECT value FROM duckdb_settings() WHERE name = 'enable_progress_bar'"
    with ask(ledger, bars) as answer:
        assert list(answer.rows) == [("false",)]
    with opened(str(tmp_path / "file")) as base:  # what makes the index, and Parquet
        assert base.execute(bars).fetchall() == [("false",)]
    for path in SOURCES.rglob("*.py"):
        direct = re.search(r"(duckdb|extra\(\)\[0\])\.connect\(", path.read_text())
        assert not direct or path.name == "columns.py", path


def test_of_a_ledger_with_a_flaw_no_index_stays(ledger: str, cache: Path) -> None:
    path = Path(ledger, "ledger.blj")
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:])
    with pytest.raises(LedgerCorrupt):
        Index(ledger)
    assert not list(cache.rglob(f"{module.FILE}*"))
    path.write_bytes(whole)
    assert rows(ledger, "SELECT count(*) > 0 FROM entries") == [(True,)]


def test_a_query_on_a_small_index_does_not_read_the_ledger(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(ledger, "SELECT 1")
    starts: list[int] = []
    records = Reader.records

    def noted(self: Reader, start: int = 1) -> object:
        starts.append(start)
        return records(self, start)

    monkeypatch.setattr(Reader, "records", noted)
    assert rows(ledger, "SELECT 2") == [(2,)]
    with Reader(ledger) as reader:
        assert starts == [reader.skip_to_last(1)]


def test_an_index_that_takes_long_says_how_far_it_is(
    ledger: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log_query, "QUIET", 0.0)
    assert main(["query", "SELECT 2", ledger]) == 0
    assert re.fullmatch(
        r"belljar: indexing: 6 of 6 entries \([0-9,]+/s\)\n", capsys.readouterr().err
    )
