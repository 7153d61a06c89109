"""Reading: reports, single entries, concurrent recovery, hostile payloads."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar.errors import LedgerCorrupt, LedgerError
from belljar.ledger import DECISIONS, EVENTS, START, Writer
from belljar.ledger.entries import entry, expand, plain
from belljar.ledger.format import KINDS
from belljar.ledger.reader import Reader, Record, read, verify

from .conftest import OTHER, RUN, fill, frame, packed


def test_the_report_counts_and_names_unfinished_runs(ledger: str) -> None:
    with Writer(ledger) as writer:
        writer.append([(START, 1, packed({}))], OTHER)
    report = verify(ledger)
    assert (report.records, report.entries, report.runs) == (5, 7, 2)
    assert report.unfinished == (OTHER,)
    assert (report.torn, report.recovered) == (0, 0)
    assert report.complete == os.path.getsize(ledger + "/ledger.blj")


def test_the_head_changes_with_every_record_and_pins_it(ledger: str) -> None:
    before = verify(ledger).head
    with Writer(ledger) as writer:
        writer.append([(EVENTS, 1, b"")], RUN)
    assert len(before) == 32
    assert verify(ledger).head != before


def test_a_flaw_is_named_by_record_entry_and_offset(ledger: str) -> None:
    offset = [record.offset for record in read(ledger)][2]
    path = Path(ledger) / "ledger.blj"
    data = bytearray(path.read_bytes())
    data[offset + 60] ^= 4
    path.write_bytes(data)
    with pytest.raises(LedgerCorrupt) as caught:
        verify(ledger)
    assert str(caught.value) == f"record 3 (entry 4) at offset {offset} does not verify"
    assert caught.value.offset == offset
    got: list[int] = []
    with pytest.raises(LedgerCorrupt):
        got.extend(record.first for record in read(ledger))
    with pytest.raises(LedgerCorrupt):
        entry(ledger, 5)


def test_a_missing_ledger_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"cannot read the ledger .*: there is none"):
        verify(str(tmp_path))


def test_reading_starts_at_any_entry(ledger: str) -> None:
    firsts = {n: [record.first for record in read(ledger, n)] for n in range(8)}
    assert firsts[0] == firsts[1] == [1, 2, 4, 6]
    assert firsts[3] == [2, 4, 6]
    assert firsts[6] == [6]
    assert firsts[7] == []


@pytest.mark.parametrize("torn", [False, True])
def test_the_last_entries_are_found_from_the_end(ledger: str, torn: bool) -> None:
    if torn:
        with open(ledger + "/ledger.blj", "ab") as file:
            file.write(b"\xb1LJ\n")
    for wanted, first in ((0, []), (1, [6]), (2, [4, 6]), (3, [4, 6]), (4, [2, 4, 6]), (99, [1])):
        with Reader(ledger) as reader:
            start = reader.skip_to_last(wanted)
            assert start == max(1, 7 - wanted)
            assert [record.first for record in reader.records(start)][: len(first) or None] == first


def test_a_reader_follows_what_is_appended_and_recovered(ledger: str) -> None:
    with Reader(ledger) as reader:
        assert [record.first for record in reader.records()] == [1, 2, 4, 6]
        assert not reader.grown()
        with open(ledger + "/ledger.blj", "ab") as file:
            file.write(b"\xb1LJ\n\x01")
        assert reader.grown()
        assert list(reader.records()) == []
        with Writer(ledger) as writer:
            writer.append([(EVENTS, 1, b"")], RUN)
        assert [record.name for record in reader.records()] == ["recovered", "events"]
        os.unlink(writer.path)
        with pytest.raises(LedgerError, match="deleted"):
            reader.grown()


def test_a_torn_end_that_is_replaced_under_a_reader_is_read_again(ledger: str) -> None:
    with open(ledger + "/ledger.blj", "ab") as file:
        file.write(b"\xb1LJ\n" + bytes(40))
    with Reader(ledger) as reader:
        found = reader.found()
        next(found)  # the size is taken and everything read ahead, torn end included
        with Writer(ledger) as writer:
            writer.append([(EVENTS, 5, b"new")], RUN)
        assert [step[3] for step in found] == [2, 4, 6, 7, 8]
    assert verify(ledger).entries == 12


def test_entries_expand_with_their_numbers(ledger: str) -> None:
    found = [one for record in read(ledger) for one in expand(record)]
    assert [(one.number, one.kind) for one in found] == [
        (1, "start"), (2, "event"), (3, "event"), (4, "decision"), (5, "decision"), (6, "end"),
    ]  # fmt: skip
    event = entry(ledger, 2)
    assert (event.pid, event.thread, event.seq, event.data.name) == (77, 5, 1, "open")
    assert event.data.args == ("/etc/passwd", "r", 0)
    assert entry(ledger, 5).data == {"verdict": "allow"}
    for missing in (0, -1, 7):
        with pytest.raises(LedgerError, match=f"no entry #{missing}"):
            entry(ledger, missing)


def test_greetings_and_farewells_are_entries_too() -> None:
    payload = frame(kind=1, seq=0) + frame() + frame(kind=3)
    found = list(expand(Record(88, EVENTS, RUN, 1, 3, 0, payload)))
    assert [one.kind for one in found] == ["hello", "event", "bye"]
    assert found[0].data.python == "3.11.7"


@pytest.mark.parametrize(
    ("payload", "count", "kinds"),
    [
        (frame()[:-1], 1, ["broken"]),
        (frame() + b"xx", 1, ["broken"]),
        (frame(), 3, ["event", "broken", "broken"]),
        (frame() * 3, 2, ["event", "broken"]),
        (frame() + b"\0" * 40 + frame(), 3, ["event", "broken", "broken"]),
        (frame()[:32] + b"\xc1" * (len(frame()) - 32) + frame(), 2, ["broken", "event"]),
        (struct.pack("<HHBBHIIQQ", 0x4A42, 32, 9, 0, 1, 1, 1, 1, 1) + frame(), 2,
         ["broken", "event"]),
    ],
)  # fmt: skip
def test_frames_that_do_not_decode_are_given_raw(
    payload: bytes, count: int, kinds: list[str]
) -> None:
    found = list(expand(Record(88, EVENTS, RUN, 10, count, 0, payload)))
    assert [one.kind for one in found] == kinds
    assert [one.number for one in found] == list(range(10, 10 + count))
    assert all(one.reason for one in found if one.kind == "broken")


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 5), st.binary(max_size=200), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_payload_makes_expanding_raise(kind: int, count: int, tail: bytes, head: bool) -> None:
    payload = frame()[:32] * head + tail
    found = list(expand(Record(88, kind, RUN, 1, count, 0, payload)))
    assert [one.number for one in found] == list(range(1, count + 1))
    for one in found:
        assert one.plain()["entry"] == one.number


def test_deep_and_odd_values_become_plain() -> None:
    import msgspec

    deep: object = 1
    for _ in range(200):
        deep = [deep]
    assert "too deep" in str(plain(deep))
    assert plain({1: float("nan"), (1,): msgspec.msgpack.Ext(5, b"\x01")}) == {
        "1": "nan",
        "[1]": {"extension": 5, "bytes": "01"},
    }
    bomb = b"\x91" * 100_000 + b"\xc0"
    (found,) = expand(Record(88, DECISIONS, RUN, 1, 1, 0, bomb))
    assert found.kind == "broken"


def test_reading_changes_nothing_and_works_on_a_read_only_ledger(ledger: str) -> None:
    os.chmod(ledger + "/ledger.blj", 0o400)
    os.chmod(ledger, 0o500)
    before = fill_state(ledger)
    assert verify(ledger).entries == 6
    assert len(list(read(ledger))) == 4
    assert fill_state(ledger) == before


def fill_state(ledger: str) -> tuple[list[str], int, int]:
    found = os.stat(ledger + "/ledger.blj")
    return os.listdir(ledger), found.st_size, found.st_mtime_ns


def test_a_reader_never_keeps_a_writer_waiting(tmp_path: Path) -> None:
    """At any step of reading, over several books, the lock that writers take is free."""
    directory = str(tmp_path)
    with Writer(directory, book=800, clerk=False) as writer:
        for _ in range(5):
            fill(writer)
        fd = os.open(writer.path, os.O_RDWR)
        try:
            with Reader(directory) as reader:
                free = 0
                for _record in reader.records():
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # else `BlockingIOError`
                    fcntl.flock(fd, fcntl.LOCK_UN)
                    free += 1
                reader.grown()
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(fd, fcntl.LOCK_UN)
                assert free > 20
                assert fill(writer)[0] > free
        finally:
            os.close(fd)


def test_an_empty_ledger_is_whole(tmp_path: Path) -> None:
    with Writer(str(tmp_path)):
        pass
    report = verify(str(tmp_path))
    assert (report.records, report.torn) == (0, 0)
    assert list(read(str(tmp_path))) == []
    with Reader(str(tmp_path)) as reader:
        assert reader.skip_to_last(5) == 1
        with Writer(str(tmp_path)) as writer:
            fill(writer)
        assert len(list(reader.records())) == 4
