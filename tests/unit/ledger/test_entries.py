"""What a sender packs small must not come out large: entries are no larger than their record."""

from __future__ import annotations

import time
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.ledger.entries import _values, expand
from belljar.ledger.export.ocsf import ocsf
from belljar.ledger.export.sarif import sarif
from belljar.ledger.export.write import line
from belljar.ledger.format import DECISIONS, END, EVENTS, START
from belljar.ledger.query.rows import Bodies
from belljar.ledger.reader import Record
from belljar.ledger.sinks.fields import item

from .conftest import RUN, packed
from .everything import event

ENVELOPE = 3_000  # characters of an entry that says nothing, in the wordiest form


def record(kind: int, payload: bytes, count: int = 1) -> Record:
    return Record(0, kind, RUN, 1, count, 10**18, payload)


def hostile() -> dict[str, Record]:
    """Records of some kilobytes that would like to be gigabytes."""
    many = 3_000
    wide = {"k": [None] * 20_000}
    deep: object = "x"
    for _ in range(500):
        deep = [deep, deep] if _ < 10 else [deep]
    denial = {"kind": "denial", "verdict": "deny", "target": "\x00" * 9_000, "at": ["\x00" * 900]}
    return {
        "no maps": record(DECISIONS, packed([None] * many), many),
        "numbers": record(DECISIONS, packed([300] * many), many),
        "one text": record(DECISIONS, packed([None, "x" * 50_000, *[None] * many]), many + 2),
        "some maps": record(DECISIONS, packed([{}, 1] * many), 2 * many),
        "another count": record(DECISIONS, packed([None] * many), many + 1),
        "no MessagePack": record(DECISIONS, b"\xc1" * many, many),
        "wide": record(DECISIONS, packed([wide, {}]), 2),
        "deep": record(START, packed({"argv": deep, "program": [deep, deep]})),
        "long": record(DECISIONS, packed([denial])),
        "an end": record(END, packed([1] * many)),
        "keys": record(END, packed(dict.fromkeys(range(many)))),
        "no frames": record(EVENTS, b"x" * 32 * many, many),
        "strange frames": record(EVENTS, event("open", ["x"], kind=9) * many, many),
        "extensions": record(EVENTS, event("open", [msgspec.msgpack.Ext(9, b"")] * 900)),
    }


@pytest.mark.parametrize("name", list(hostile()))
def test_what_comes_out_is_as_long_as_what_went_in_and_the_envelopes(name: str) -> None:
    what = hostile()[name]
    entries = list(expand(what))
    assert [entry.number for entry in entries] == list(range(1, what.count + 1))
    assert sum(len(entry.raw) for entry in entries) <= len(what.payload)
    for form in (
        [line(entry.plain()) for entry in entries],
        [line(ocsf(entry)) for entry in entries],
        list(sarif(entries)),
        [str(item(entry, "ab").fields) for entry in entries],
        [str(Bodies().entry(entry)) + str(entry.plain()) for entry in entries],
    ):
        most = len(what.payload) * 40 + what.count * ENVELOPE
        assert sum(map(len, form)) < most


def test_an_item_that_is_no_map_comes_with_its_own_bytes() -> None:
    found = list(expand(record(DECISIONS, packed([1, {"a": 1}, "x"]), 3)))
    assert [(one.kind, one.raw) for one in found] == [
        ("broken", b"\x01"), ("decision", b""), ("broken", b"\xa1x"),
    ]  # fmt: skip


def test_a_start_that_is_no_map_comes_with_all_of_it() -> None:
    (found,) = expand(record(START, packed([1, 2])))
    assert (found.kind, found.raw, found.reason) == ("broken", packed([1, 2]), "not a map")


def test_millions_of_values_are_counted_not_decoded() -> None:
    """16 MB of empty maps would be 1.2 GB of them in memory."""
    payload = b"\x81\xa1a\xdd\x00\xff\x00\x00" + b"\x80" * 0xFF0000
    tracemalloc.start()
    (found,) = expand(record(START, payload))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.kind, found.reason) == ("broken", "more than 262144 values")
    assert peak < 1 << 20


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(),
        st.text(max_size=300), st.binary(max_size=300),
        st.builds(msgspec.msgpack.Ext, st.integers(0, 127), st.binary(max_size=20)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=20), st.dictionaries(st.text(max_size=3), inner, max_size=20)
    ),
)  # fmt: skip


def _count(value: object) -> int:
    if isinstance(value, list):
        return 1 + sum(map(_count, value))
    if isinstance(value, dict):
        return 1 + sum(1 + _count(one) for one in value.values())
    return 1


@given(values)
def test_values_are_counted_as_the_decoder_finds_them(value: object) -> None:
    assert _values(packed(value), 1 << 20) == _count(value)


@pytest.mark.parametrize("size", [70_000, 70])
def test_long_forms_are_counted_too(size: int) -> None:
    for value in ("x" * size, b"x" * size, [1] * size, {str(n): 1 for n in range(size)}):
        assert _values(packed([value, value]), 1 << 20) == 1 + 2 * _count(value)
    assert _values(packed([1] * size), 10) > 10
    assert _values(b"\xdf\xff\xff\xff\xff", 1 << 18) > 1 << 18
    assert _values(b"\xd9", 9) == 1


@given(st.binary(max_size=200))
def test_any_bytes_can_be_counted(data: bytes) -> None:
    assert _values(data, 100) >= 0


def test_a_record_full_of_frames_that_do_not_decode_is_walked_once() -> None:
    """Looking for each of them from the beginning took the square of their number."""
    count = 40_000
    what = record(EVENTS, event("open", ["x"], kind=9) * count, count)
    start = time.process_time()
    found = Bodies().frames(what)
    assert found is not None
    assert len(found.other) == count
    assert [place for place, _ in found.other] == list(range(count))
    assert time.process_time() - start < 20
