"""The parser of a collector's socket: only what is allowed passes, whatever the bytes."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar.ledger import DECISIONS, END, EVENTS, START
from belljar.ledger.collect.wire import (
    ACK,
    HEAD,
    HELLO,
    ITEM,
    MOST_BODY,
    MOST_ITEMS,
    NO,
    RUN,
    SENDABLE,
    Malformed,
    ack,
    append,
    hello,
    no,
    parse_append,
    parse_head,
    parse_said,
)
from belljar.ledger.format import DEFLATED, MAX_PAYLOAD

EXAMPLES = 20_000 if os.environ.get("BELLJAR_LONG") else 300
PAYLOADS = st.binary(min_size=1, max_size=300)
ITEMS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([START, END]), st.just(1), st.just(0), PAYLOADS),
        st.tuples(st.just(DECISIONS), st.just(1), st.just(0), PAYLOADS),
        st.tuples(
            st.just(EVENTS), st.just(2), st.sampled_from([0, DEFLATED]),
            st.binary(min_size=64, max_size=300),
        ),
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip


def parse(data: bytes) -> tuple[bytes, list[tuple[int, int, int, bytes]]]:
    """All of a message, as the collector does it."""
    if len(data) < HEAD.size:
        raise Malformed("no head")
    _kind, items, length, _number = parse_head(data)
    body = memoryview(data)[HEAD.size : HEAD.size + length]
    if len(body) < length:
        raise Malformed("not whole")
    return parse_append(body, items)


@settings(max_examples=EXAMPLES, deadline=None)
@given(ITEMS, st.binary(min_size=RUN, max_size=RUN), st.integers(1, (1 << 64) - 1))
def test_what_is_said_is_what_is_understood(
    items: list[tuple[int, int, int, bytes]], run: bytes, number: int
) -> None:
    data = b"".join(append(number, run, items))
    assert parse_head(data)[3] == number
    found, understood = parse(data)
    assert found == run
    assert [(k, c, f, bytes(d)) for k, c, f, d in understood] == items


@settings(max_examples=EXAMPLES, deadline=None)
@given(ITEMS, st.data())
def test_a_message_with_changed_bytes_is_refused_or_within_all_bounds(
    items: list[tuple[int, int, int, bytes]], data: st.DataObject
) -> None:
    message = bytearray(b"".join(append(1, bytes(RUN), items)))
    heads = HEAD.size + RUN + len(items) * ITEM.size
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, heads - 1))] = data.draw(st.integers(0, 255))
    try:
        _run, understood = parse(bytes(message))
    except Malformed:
        return
    check_bounds(bytes(message), understood)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_within_all_bounds(data: bytes) -> None:
    for attempt in (data, b"BJc\n\x01\x01" + data):
        try:
            _run, understood = parse(attempt)
        except Malformed:
            continue
        check_bounds(attempt, understood)


def check_bounds(message: bytes, items: list[tuple[int, int, int, bytes]]) -> None:
    assert 0 < len(items) <= MOST_ITEMS
    assert sum(len(item[3]) for item in items) + RUN <= len(message)
    for kind, count, flags, payload in items:
        assert kind in SENDABLE
        assert len(payload) <= MAX_PAYLOAD
        assert flags == 0 or (kind, flags) == (EVENTS, DEFLATED)
        assert 0 < count <= MAX_PAYLOAD // 32 if flags else count <= len(payload)
        assert count == 1 or kind in (EVENTS, DECISIONS)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_of_a_collector_are_refused_waited_for_or_understood(data: bytes) -> None:
    for attempt in (data, b"BJc\n\x01" + data):
        try:
            said = parse_said(attempt)
        except Malformed:
            continue
        assert said is None or (said[0] in (HELLO, ACK, NO) and said[4] <= len(attempt))


def test_what_a_collector_says_is_understood_in_any_pieces() -> None:
    for message, wanted in (
        (hello(7), (HELLO, 0, (7, MOST_BODY), "")),
        (ack(3, [1, 2, 1 << 40]), (ACK, 3, (1, 2, 1 << 40), "")),
        (no(9, "disk full"), (NO, 9, (), "disk full")),
        (no(9, "\udcff" * 5000), (NO, 9, (), "?" * 1000)),
    ):
        for size in range(len(message)):
            assert parse_said(message[:size]) is None
        assert parse_said(message + b"more") == (*wanted, len(message))


def test_a_sender_is_told_what_it_cannot_append_before_it_is_sent() -> None:
    for items in (
        [],
        [(EVENTS, 1, 0, bytes(32))] * (MOST_ITEMS + 1),
        [(EVENTS, 1, 0, bytes(MAX_PAYLOAD))] * 2,
        [(EVENTS, 2, 0, bytes(63))],
        [(9, 1, 0, b"x")],
        [(START, 1, 0, b"")],
    ):
        with pytest.raises(Malformed):
            append(1, bytes(16), items)
