"""The record is bounded: a guest does not fill the host's disk, and what is dropped is counted."""

from __future__ import annotations

import msgspec
import pytest

from belljar import __version__
from belljar.ledger import DECISIONS, END, EVENTS, START
from belljar.sandbox import record as recording
from belljar.sandbox.record import Record


class Writer:
    """A ledger in memory; each record in an entry has a number of its own."""

    directory = "/ledger"

    def __init__(self) -> None:
        self.entries: list[tuple[int, int, bytes, bytes]] = []
        self.numbers = 1
        self.closed = False

    def append(self, entries: list[tuple[int, int, bytes]], run: bytes) -> list[int]:
        firsts = []
        for kind, count, payload in entries:
            self.entries.append((kind, count, payload, run))
            firsts.append(self.numbers)
            self.numbers += count
        return firsts

    def close(self) -> None:
        self.closed = True

    def of(self, kind: int) -> list[tuple[int, bytes]]:
        return [(count, payload) for found, count, payload, _ in self.entries if found == kind]


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def record(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A record of 1000 bytes of bulk."""
    monkeypatch.setattr(recording, "BULK", 1000)
    monkeypatch.setattr(recording, "ALL", 2000)
    return Record(writer, b"R" * 16)


def test_a_record_may_hold_twice_its_bulk() -> None:
    assert recording.ALL == 2 * recording.BULK
    assert recording.BULK == 64 << 20


def test_events_within_the_bound_are_kept_as_they_came(record: Record, writer: Writer) -> None:
    record.events(b"a" * 600, 6, ((0, 100),))
    record.events(b"b" * 400, 4, ())
    assert writer.of(EVENTS) == [(6, b"a" * 600), (4, b"b" * 400)]
    assert record.unkept == 0


def test_beyond_the_bound_bulk_is_dropped_and_counted(record: Record, writer: Writer) -> None:
    record.events(b"a" * 1000, 10, ())
    record.events(b"b" * 100, 3, ())
    assert writer.of(EVENTS) == [(10, b"a" * 1000)]
    assert record.unkept == 3


def test_beyond_the_bound_flagged_frames_are_kept(record: Record, writer: Writer) -> None:
    record.events(b"a" * 1000, 10, ())
    record.events(b"bulkFLAGbulkMARKED", 4, ((4, 4), (12, 6)))
    assert writer.of(EVENTS)[1:] == [(2, b"FLAGMARKED")]
    assert record.unkept == 2


def test_beyond_twice_the_bound_nothing_is_kept(record: Record, writer: Writer) -> None:
    record.events(b"a" * 1000, 10, ())
    record.events(b"f" * 1000, 5, ((0, 1000),))
    record.events(b"f" * 10, 2, ((0, 10),))
    assert [count for count, _ in writer.of(EVENTS)] == [10, 1]
    assert record.unkept == 4 + 2


def test_a_chunk_that_does_not_fit_is_dropped_and_a_smaller_one_still_kept(
    record: Record, writer: Writer
) -> None:
    record.events(b"a" * 1001, 10, ())
    assert (writer.entries, record.unkept) == ([], 10)
    record.events(b"b" * 1000, 1, ())
    assert writer.of(EVENTS) == [(1, b"b" * 1000)]


def test_nothing_is_written_for_no_events(record: Record, writer: Writer) -> None:
    record.events(b"", 0, ())
    assert writer.entries == []


def test_decisions_are_split_in_records_of_a_hundred(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Record(writer, b"R" * 16)
    rows: list[dict[str, object]] = [{"n": n} for n in range(250)]
    assert record.decisions(rows) == list(range(1, 251))
    kept = writer.of(DECISIONS)
    assert [count for count, _ in kept] == [100, 100, 50]
    assert [row for _, payload in kept for row in msgspec.msgpack.decode(payload)] == rows
    assert record.decisions([]) == []


def test_decisions_beyond_the_bounds_have_no_number_and_are_counted(
    record: Record, writer: Writer
) -> None:
    rows: list[dict[str, object]] = [{"text": "x" * 20} for _ in range(200)]
    numbers = record.decisions(rows)
    assert numbers == [*range(1, 101), *[None] * 100]
    assert record.unkept == numbers.count(None) > 0
    assert sum(len(payload) for _, payload in writer.of(DECISIONS)) <= 3000


def test_decisions_are_kept_after_events_have_reached_their_bound(
    record: Record, writer: Writer
) -> None:
    record.events(b"a" * 1000, 10, ())
    record.events(b"f" * 1000, 1, ((0, 1000),))
    assert record.decisions([{"n": 1}]) == [12]
    assert record.unkept == 0


def test_the_last_entry_tells_what_was_not_kept(record: Record, writer: Writer) -> None:
    record.start({"kind": "run"})
    record.events(b"a" * 1001, 7, ())
    record.end({"status": 0})
    ((_, first),) = writer.of(START)
    ((_, last),) = writer.of(END)
    assert msgspec.msgpack.decode(first) == {"kind": "run", "belljar": __version__}
    assert msgspec.msgpack.decode(last) == {"status": 0, "unkept": 7}
    assert {run for *_, run in writer.entries} == {b"R" * 16}


@pytest.mark.parametrize(
    ("wheres", "name"),
    [
        (["default", "default"], "default"),
        (["default", "--read"], "flags"),
        (["job.toml:3", "default", "--read", "job.toml:9"], "job.toml"),
        (["a:b.toml:3", "c.toml:1"], "a:b.toml, c.toml"),
        ([], "default"),
    ],
)
def test_the_first_entry_names_the_policy(
    record: Record, writer: Writer, wheres: list[str], name: str
) -> None:
    record.start({"policy": [["files.read", "/x", where] for where in wheres]})
    ((_, first),) = writer.of(START)
    assert msgspec.msgpack.decode(first)["policy-name"] == name


def test_closing_lets_the_ledger_go(record: Record, writer: Writer) -> None:
    assert record.directory == "/ledger"
    record.close()
    assert writer.closed
