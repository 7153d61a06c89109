"""Whatever data there is crosses the bridge unchanged; whatever bytes come, they are a value or
malformed, and a conversation ends as documented."""

from __future__ import annotations

import datetime
import math
import socket
import struct
import time
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from belljar.errors import GuestEnded, GuestError, GuestProtocolError
from belljar.sandbox.bridge.peer import Peer
from belljar.sandbox.guest import ops
from belljar.sandbox.guest.values import EnumValue, Malformed, Record, Unsendable, dumps, loads

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
ZONES = st.one_of(
    st.none(),
    st.timedeltas(datetime.timedelta(-1, 1), datetime.timedelta(0, 86399)).map(datetime.timezone),
)
HASHABLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**300), 2**300), st.floats(), TEXTS,
    st.binary(max_size=300), st.complex_numbers(), st.dates(), st.times(timezones=ZONES),
    st.datetimes(timezones=ZONES), st.timedeltas(), st.uuids(), st.fractions(),
    st.decimals(allow_nan=False), st.builds(range, st.integers(-5, 5), st.integers(-5, 5)),
    st.builds(EnumValue, TEXTS, TEXTS.filter(bool), st.integers()),
)  # fmt: skip
LEAVES = st.one_of(
    HASHABLE, st.builds(bytearray, st.binary(max_size=20)),
    st.builds(slice, st.none() | st.integers(-9, 9), st.none() | st.integers(-9, 9)),
    st.lists(st.floats(), min_size=8, max_size=20),
    st.lists(st.integers(), min_size=8, max_size=20),
)  # fmt: skip
FIELDS = st.sampled_from(["a", "_c", "é"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=5),
        st.sets(HASHABLE, max_size=5),
        st.frozensets(HASHABLE, max_size=5),
        st.builds(
            Record,
            TEXTS,
            st.dictionaries(st.sampled_from(["a", "_c", "é"]), inner, max_size=3),
        ),
    ),
    max_leaves=20,
)


def same(a: Any, b: Any) -> bool:
    """Equal, of one type all the way down, and not-a-number is itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, Record):
        return a.type_name == b.type_name and same(a.fields, b.fields)
    if isinstance(a, (set, frozenset)):
        return len(a) == len(b) and sorted(map(dumps, a)) == sorted(map(dumps, b))
    if isinstance(a, Decimal):
        return a.as_tuple() == b.as_tuple()
    if isinstance(a, (datetime.datetime, datetime.time)):
        return a == b and a.fold == b.fold and a.tzinfo == b.tzinfo
    return bool(a == b)


@given(VALUES)
def test_data_comes_back_as_it_went(value: Any) -> None:
    assert same(loads(dumps(value)), value)


@given(st.binary(max_size=200))
@example(b"d\x01\0\0\0e\0\0\0\0N")
@example(b"L\xff\xff\xff\xff")
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    try:
        found = loads(data)
    except Malformed:
        return
    assert same(loads(dumps(found)), found)


@given(VALUES, st.data())
def test_spoiled_values_are_values_or_malformed(value: Any, draw: Any) -> None:
    data = bytearray(dumps(value))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = loads(bytes(data), lambda *_: None)
    except Malformed:
        return
    try:
        dumps(found)
    except Unsendable:
        raise AssertionError("what was read could not have been written") from None


BODIES = st.one_of(VALUES.map(dumps), st.binary(min_size=1, max_size=30))
FRAMES = st.one_of(
    st.tuples(st.just(ops.REPLY), st.integers(0, 4), st.just(0), BODIES),
    st.tuples(
        st.just(ops.RAISED), st.integers(0, 4), st.just(0),
        st.tuples(TEXTS, TEXTS, TEXTS).map(dumps) | BODIES,
    ),
    st.tuples(
        st.just(ops.REQUEST), st.integers(0, 6), st.integers(0, 3),
        st.tuples(st.sampled_from([*ops.FROM_GUEST, 1, 0]), BODIES).map(
            lambda both: bytes([both[0]]) + both[1]
        ),
    ),
    st.tuples(
        st.just(ops.NOTE), st.just(0), st.just(0),
        st.tuples(st.sampled_from([*ops.NOTES_FROM_GUEST]), BODIES).map(
            lambda both: bytes([both[0]]) + both[1]
        ),
    ),
    st.tuples(st.integers(0, 255), st.integers(0, 9), st.integers(0, 9), BODIES),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=8), st.booleans(), st.integers(0, 40))
def test_any_frames_end_as_documented(
    frames: list[tuple[int, int, int, bytes]], nested: bool, cut: int
) -> None:
    data = b"".join(struct.pack("<IBII", len(body), *head) + body for *head, body in frames)
    data = data[: len(data) - cut] if cut < 20 else data
    here, there = socket.socketpair()
    with here, there:

        def serve(op: str, body: object, request: Any) -> object:
            return request("call", 1) if nested and op not in ops.GUEST_NOTES else None

        peer = Peer(here, serve)
        there.sendall(data[:100_000])
        there.shutdown(socket.SHUT_WR)
        asked = 0
        while peer.over is None and asked < 10:
            asked += 1
            try:
                peer.request("run", "x", time.monotonic() + 60)
            except GuestError:
                continue
            except (GuestEnded, GuestProtocolError):
                assert peer.over is not None
        assert not peer.busy
