"""The quick way through a book and the slow one come to the same, for right and wrong bytes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from belljar.errors import LedgerCorrupt
from belljar.ledger import EVENTS, Writer
from belljar.ledger.proof import walk
from belljar.ledger.proof.walk import Walk
from belljar.ledger.reader import Reader, Report

from .conftest import OTHER, fill


@pytest.fixture
def mixed(ledger: str) -> str:
    """Two books; records of no byte, of few, deflated, and longer than what is read ahead."""
    with Writer(ledger, book=60_000) as writer:
        for size in (0, 1, 40, 700, 20_000, 3, 9_000, 100_000, 5, 6, 7):
            writer.append([(EVENTS, 2, os.urandom(size))] * 3, OTHER)
        writer.append([(EVENTS, 9, b"again" * 4000)], OTHER)
        for _ in range(20):
            fill(writer)
    return ledger


def walked(directory: str) -> Report | str:
    with Walk(directory, 0, [], set(), lambda *_: None) as reader:
        try:
            return reader.verify()
        except LedgerCorrupt as error:
            return str(error)


def stepped(directory: str) -> Report | str:
    with Reader(directory) as reader:
        try:
            return reader.verify()
        except LedgerCorrupt as error:
            return str(error)


def test_it_is_the_quick_way_that_most_records_go(
    mixed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    real = walk.quick

    def counted(*arguments: object) -> object:
        for step in real(*arguments):  # type: ignore[arg-type]
            taken.append(step)
            yield step

    monkeypatch.setattr(walk, "quick", counted)
    found = walked(mixed)
    assert isinstance(found, Report)
    assert found == stepped(mixed)
    assert len(taken) > found.records / 2


def test_a_changed_bit_and_a_cut_end_are_told_as_by_the_slow_way(mixed: str) -> None:
    chance = random.Random(8)
    seen = set()
    for path in (Path(mixed, "ledger.blj"), *Path(mixed, "books").iterdir()):
        whole = path.read_bytes()
        places = [chance.randrange(len(whole)) for _ in range(60)]
        places += range(len(whole) - 300, len(whole), 7)
        for at in places:
            data = bytearray(whole)
            data[at] ^= 1 << chance.randrange(8)
            path.write_bytes(data)
            found = walked(mixed)
            assert found == stepped(mixed)
            assert not isinstance(found, Report) or found.torn
            path.write_bytes(whole[:at])
            found = walked(mixed)
            assert found == stepped(mixed)
            seen.add(type(found))
        path.write_bytes(whole)
    assert seen == {Report, str}
