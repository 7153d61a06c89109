"""Finding one run among many, and one process's events in it."""

from __future__ import annotations

import pytest

from belljar.errors import LedgerError
from belljar.ledger import DECISIONS, EVENTS, START, Writer
from belljar.ledger.runs import find, holding, last_decision, picked, records

from .conftest import OTHER, RUN, fill, frame, packed


@pytest.fixture
def two(ledger: str) -> str:
    """A second run after the first."""
    with Writer(ledger) as writer:
        writer.append([(START, 1, packed({"kind": "run"}))], OTHER)
        writer.append([(EVENTS, 1, frame(seq=9))], OTHER)
    return ledger


def test_the_latest_run_is_found_and_an_older_one_by_its_id(two: str) -> None:
    assert (find(two).run, find(two).number, find(two).kind) == (OTHER, 7, "run")
    assert find(two, RUN.hex()[:6]).number == 1
    assert find(two, RUN.hex().upper()).run == RUN


def test_no_run_and_several_are_told(two: str) -> None:
    with pytest.raises(LedgerError, match="has no run ffff"):
        find(two, "ffff")
    with Writer(two) as writer:
        writer.append([(START, 1, packed({}))], RUN[:8] + OTHER[8:])
    with pytest.raises(LedgerError, match="2 runs"):
        find(two, RUN.hex()[:4])


def test_an_entry_belongs_to_its_run(two: str) -> None:
    for number in range(1, 7):
        assert holding(two, number)[1] == RUN
    run, run_id = holding(two, 8)
    assert (run.number if run else None, run_id) == (7, OTHER)
    with pytest.raises(LedgerError, match="no entry #9"):
        holding(two, 9)


def test_a_run_whose_start_is_missing_or_no_map_is_told(ledger: str) -> None:
    with Writer(ledger) as writer:
        writer.append([(EVENTS, 1, frame())], OTHER)
    assert holding(ledger, 7) == (None, OTHER)
    with Writer(ledger) as writer:
        writer.append([(START, 1, packed([1]))], OTHER)
    with pytest.raises(LedgerError, match="no START entry"):
        find(ledger, OTHER.hex())


def test_the_last_decision_is_the_last_of_its_record(two: str) -> None:
    assert last_decision(two) == 5
    with Writer(two) as writer:
        writer.append([(DECISIONS, 1, packed([{}]))], OTHER)
    assert last_decision(two) == 9


def test_only_the_records_of_a_run_are_its_own(two: str) -> None:
    with Writer(two) as writer:
        fill(writer)
    assert [record.first for record in records(two, find(two, OTHER.hex()))] == [7, 8]


def test_wanted_events_are_picked_by_process_and_number_and_nothing_else_is_decoded(
    ledger: str,
) -> None:
    frames = frame("a", seq=1) + frame("b", seq=2, pid=5) + b"".join(
        frame("c", seq=n) for n in (2, 3)
    )  # fmt: skip
    with Writer(ledger) as writer:
        writer.append([(EVENTS, 4, frames)], OTHER)
    record = next(r for r in records(ledger, find(ledger).replace(run=OTHER, number=7)))
    found = list(picked(record, lambda pid, seq: pid == 77 and seq > 1))
    assert [(e.number, e.data.name, e.seq) for e in found] == [(9, "c", 2), (10, "c", 3)]


@pytest.mark.parametrize("junk", [b"", b"\0" * 31, b"\0" * 64, b"\xff" * 40, frame()[:-1]])
def test_junk_in_a_record_is_no_event_and_no_endless_loop(ledger: str, junk: bytes) -> None:
    with Writer(ledger) as writer:
        writer.append([(EVENTS, 2, frame(seq=4) + junk)], OTHER)
    record = next(r for r in records(ledger, find(ledger).replace(run=OTHER, number=7)))
    found = list(picked(record, lambda _pid, _seq: True))
    assert [e.kind for e in found if e.kind == "event"] == ["event"]
