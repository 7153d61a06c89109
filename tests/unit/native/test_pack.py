"""`pack` writes MessagePack that reads back equal, and refuses the rest."""

from __future__ import annotations

import enum

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar._native import pack

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(values)
def test_what_is_packed_reads_back_equal(value):
    assert msgspec.msgpack.decode(pack(value)) == value


@pytest.mark.parametrize("size", [15, 16, 31, 32, 255, 256, 65535, 65536])
def test_every_width_of_length_reads_back(size):
    for value in ("a" * size, b"b" * size, [None] * size, {str(n): n for n in range(size)}):
        assert msgspec.msgpack.decode(pack(value, 1 << 22)) == value


class _Str(str):
    pass


class _Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "value", [object(), 1j, {1: 2}, _Str("a"), _Colour.RED, [set()], {_Str(): 1}]
)
def test_anything_but_exact_builtins_is_a_type_error(value):
    with pytest.raises(TypeError):
        pack(value)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_an_int_beyond_64_bits_overflows(value):
    with pytest.raises(OverflowError):
        pack(value)


def test_the_limit_is_exact():
    assert len(pack("a" * 30, 31)) == 31
    with pytest.raises(OverflowError):
        pack("a" * 30, 30)


def test_deep_nesting_overflows_instead_of_the_stack():
    value: object = None
    for _ in range(100_000):
        value = [value]
    with pytest.raises(OverflowError):
        pack(value)


def test_lone_surrogates_are_refused():
    with pytest.raises(UnicodeEncodeError):
        pack("\ud800")
