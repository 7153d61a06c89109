"""Any flipped bit, and any record deleted, repeated or moved, is found."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar.errors import LedgerCorrupt
from belljar.ledger import DECISIONS, END, EVENTS, START, Writer
from belljar.ledger.format import FILE_SIZE
from belljar.ledger.reader import Report, read, verify

KINDS = {START: 1, EVENTS: 9, DECISIONS: 3, END: 1}


@cache
def original() -> tuple[bytes, tuple[int, ...]]:
    """A ledger's bytes, and the offsets of its records with the end."""
    with tempfile.TemporaryDirectory() as directory:
        with Writer(directory) as writer:
            for number in range(12):
                kind = list(KINDS)[number % 4]
                payload = bytes([number]) * (number * 7 % 40)
                writer.append([(kind, KINDS[kind], payload)], bytes(16))
        with open(writer.path, "rb") as file:
            data = file.read()
        return data, (*(record.offset for record in read(directory)), len(data))


def check(data: bytes) -> Report:
    with tempfile.TemporaryDirectory() as directory:
        path = directory + "/ledger.blj"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, data)
        os.close(fd)
        return verify(directory)


def test_the_untouched_ledger_verifies() -> None:
    report = check(original()[0])
    assert (report.records, report.entries, report.torn) == (12, 42, 0)


def test_every_single_flipped_bit_is_found_at_its_record() -> None:
    data, offsets = original()
    with tempfile.TemporaryDirectory() as directory:
        path = directory + "/ledger.blj"
        for bit in range(len(data) * 8):
            where = bit // 8
            broken = bytearray(data)
            broken[where] ^= 1 << bit % 8
            with open(path, "wb") as file:
                file.write(broken)
            with pytest.raises(LedgerCorrupt) as caught:
                verify(directory)
            start = max((o for o in offsets if o <= where), default=0)
            assert start <= caught.value.offset <= where if where < FILE_SIZE else True
            assert caught.value.offset == start or where < FILE_SIZE


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_deleted_repeated_and_moved_records_are_found(data: st.DataObject) -> None:
    whole, offsets = original()
    records = [whole[a:b] for a, b in pairwise(offsets)]
    order = data.draw(
        st.lists(st.sampled_from(range(len(records))), min_size=1, max_size=15).filter(
            lambda found: found != list(range(len(found)))
        )
    )
    with pytest.raises(LedgerCorrupt):
        check(whole[:FILE_SIZE] + b"".join(records[n] for n in order))


@given(st.binary(min_size=1, max_size=300), st.integers(0, 2000))
@settings(max_examples=200, deadline=None)
def test_foreign_bytes_anywhere_are_found(foreign: bytes, where: int) -> None:
    whole, _offsets = original()
    where = min(where, len(whole) - 1)
    changed = whole[:where] + foreign + whole[where:]
    try:
        report = check(changed)
    except LedgerCorrupt:
        return
    assert report.torn or changed == whole


@given(st.integers(0, 3000))
@settings(max_examples=100, deadline=None)
def test_a_cut_shows_as_torn_or_at_a_record_boundary_only_as_shorter(left: int) -> None:
    whole, offsets = original()
    left = min(left, len(whole))
    report = check(whole[:left])
    complete = max((o for o in (FILE_SIZE, *offsets) if o <= left), default=0)
    assert (report.complete, report.torn) == (complete, left - complete)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_behind_the_file_header_raise_one_error_or_are_torn(tail: bytes) -> None:
    try:
        report = check(original()[0][:FILE_SIZE] + tail)
    except LedgerCorrupt:
        return
    assert report.torn == len(tail)


def test_two_ledgers_cannot_be_spliced() -> None:
    with tempfile.TemporaryDirectory() as directory:
        with Writer(directory) as writer:
            writer.append([(START, 1, b"")], bytes(16), now=0)
        with open(writer.path, "rb") as file:
            other = file.read()
    whole, offsets = original()
    with pytest.raises(LedgerCorrupt):
        check(other[:FILE_SIZE] + whole[FILE_SIZE:])
    with pytest.raises(LedgerCorrupt):
        check(whole[:FILE_SIZE] + other[FILE_SIZE:] + whole[offsets[1] :])


def test_mutated_and_forged_books_raise_one_error_and_no_reader_hangs() -> None:
    """`fuzz/records.py`, some rounds of it."""
    script = Path(__file__).parents[2] / "fuzz" / "records.py"
    rounds = "2000" if os.environ.get("BELLJAR_LONG") == "1" else "40"
    done = subprocess.run(
        [sys.executable, str(script), rounds],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{rounds} rounds" in done.stdout
