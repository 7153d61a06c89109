"""One person with many user ids, or many runs, takes no more of a collector than another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from belljar.ledger import EVENTS
from belljar.ledger.collect import begun, crowd
from belljar.ledger.collect.begun import Begun
from belljar.ledger.collect.crowd import Crowd
from belljar.ledger.collect.owners import Owners
from belljar.ledger.collect.shares import Limits, Pool
from belljar.ledger.collect.wire import weight
from belljar.ledger.format import DEFLATED, OVERHEAD


def test_ids_that_were_lent_are_their_owners(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("1000:100000:65536\nnobody-at-all:1:9\n1001:165536:10\nx\n:\n7:8\n-1:3:4\n\n")
    owners = Owners(str(file))
    found = [owners.of(uid) for uid in (0, 1, 1000, 99999, 100000, 165535, 165536, 165546)]
    assert found == [0, 1, 1000, 99999, 1000, 1000, 1001, 165546]
    file.write_text("1001:100000:1\n")
    assert (owners.of(100000), owners.of(100001)) == (1001, 100001)
    file.unlink()
    assert owners.of(100000) == 100000


def test_who_has_many_ids_has_the_places_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "subuid"
    file.write_text("1000:100000:65536\n")
    monkeypatch.setattr(crowd, "Owners", lambda: Owners(str(file)))
    everybody = Crowd(Limits(connections=64))
    taken = 0
    for number in range(64):
        shares = everybody.of(100_000 + number, 0.0)
        assert shares is everybody.of(1000, 0.0)
        if not everybody.place(shares)[0]:
            shares.connections += 1
            taken += 1
    assert taken == 32
    assert everybody.place(everybody.of(5, 0.0)) == ("", None)
    assert Pool(30).take(everybody.of(100_001, 0.0).user, 10)
    assert everybody.of(100_001, 0.0).user == 1000


def test_entries_in_few_bytes_are_paid_for() -> None:
    assert weight([(EVENTS, 500_000, DEFLATED, bytes(16_000))]) > 15_000_000
    assert weight([(EVENTS, 1, DEFLATED, bytes(600)), (EVENTS, 9, 0, bytes(9))]) == 2 * OVERHEAD


def test_many_runs_are_remembered_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "_MOST_NEW", 10)
    known = Begun("/no/such/ledger")
    runs = [os.urandom(16) for _ in range(100)]
    for run in runs:
        known.add(run)
    assert all(run in known for run in runs)
    assert len(known._new) <= 11
    for run in runs[::3]:
        known.discard(run)
    assert [run in known for run in runs] == [bool(at % 3) for at in range(100)]
