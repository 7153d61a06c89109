"""Large values within other data, through the codec."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joined import Joined

from belljar.errors import GuestProtocolError
from belljar.sandbox.guest.forms import BadForm, extent, item_size
from belljar.sandbox.guest.reading import loads
from belljar.sandbox.guest.values import dumps
from belljar.sandbox.live.buffers import Incoming, Outgoing


def test_arrays_and_bytes_cross_within_other_data(both: Joined) -> None:
    import os

    value = {"a": np.arange(1 << 16), "b": [b"x" * (2 << 20), np.float32(0.5)], "c": (1, "two")}
    out = Outgoing(both.host)
    data = dumps(value, out.refer)
    both.sent.update((number, os.dup(fd)) for number, fd in out.fds)
    out.done()
    assert len(data) < 1000
    there = loads(data, lambda _kind, number, entry: both.guest.resolve(number, (*entry, number)))
    assert (there["a"] == value["a"]).all()  # type: ignore[comparison-overlap]
    assert there["b"] == value["b"]
    back = dumps(there, both.guest.refer)
    del there
    both.host.drop(both.sent_and_dropped())
    incoming = Incoming(both.host)
    got = loads(back, lambda _kind, number, entry: incoming.resolve(number, entry))
    incoming.done()
    assert (got["a"] == value["a"]).all()  # type: ignore[comparison-overlap]
    assert got["b"] == value["b"]
    assert both.host.used == 0


plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(),
    st.text(max_size=12), st.binary(max_size=64),
    st.sampled_from(["array", "scalar", "bytes", "bytearray", "|u1", "<f8", "<U2", "C", "F"]),
)  # fmt: skip
entries = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=6).map(tuple) | st.lists(inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
likely = st.tuples(
    st.tuples(
        st.just("array"), st.sampled_from(["|u1", "|b1", "<f8", "<U2", "|O8", "<M8[s]"]),
        st.lists(st.integers(-2, 9), max_size=4).map(tuple), st.sampled_from("CFA"),
        st.integers(-2, 20),
    ),
    st.none() | st.binary(max_size=80),
)  # fmt: skip


@given(number=st.integers(-1, 3), entry=entries | likely)
def test_whatever_a_guest_refers_to_the_host_answers_or_refuses(number: int, entry: Any) -> None:
    both = Joined(1 << 20)
    _, fd = both.host.allot(4096)
    try:
        got = both.believe(number, entry)
    except GuestProtocolError:
        pass
    else:
        assert isinstance(got, (np.ndarray, np.generic, bytes, bytearray))
        assert not isinstance(got, np.ndarray) or got.nbytes <= 4096
    import os

    os.close(fd)
    both.close()


@given(st.text(max_size=10) | st.from_regex(r"[<>|=]?[?a-zA-Z][0-9]{0,4}(\[[0-9]*[a-zA-Z]*\])?"))
def test_a_plain_dtype_is_exactly_what_numpy_calls_so(text: str) -> None:
    try:
        size = item_size(text)
    except BadForm:
        return
    kind = np.dtype(text)
    assert kind.itemsize == size
    assert not kind.hasobject
    assert kind.fields is None
    assert kind.str == text or kind.kind in "Mm"  # units have several names


@pytest.mark.parametrize(("shape", "length"), [((), 8), ((3,), 24), ((0, 1 << 50), 0)])
def test_the_length_of_a_form(shape: tuple[int, ...], length: int) -> None:
    assert extent(("array", "<f8", shape, "C", 0)) == (0, length)
