"""Reading MessagePack: what msgspec reads alike, and nothing that the recorder does not write."""

from __future__ import annotations

import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar._native import unpack


def refuse(code: int, raw: bytes) -> object:
    raise KeyError(code, raw)


def read(data: bytes) -> object:
    return unpack(data, refuse, 6, 1024)


def tuples(value: object) -> object:
    return tuple(map(tuples, value)) if isinstance(value, list) else value


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()
    | st.floats(allow_nan=False)
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=20), max_leaves=20)


def depth(value: object) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, tuple) else 0


@given(VALUES)
def test_it_reads_what_another_library_wrote(value):
    written = msgspec.msgpack.encode(value)
    if depth(tuples(value)) > 6:
        with pytest.raises(ValueError, match="too deep or too long"):
            read(written)
    else:
        found = read(written)
        assert found == tuples(value)
        assert repr(found) == repr(tuples(value))  # True is not 1, and 1 not 1.0


@given(st.binary(max_size=80))
def test_whatever_it_reads_another_library_reads_alike(data):
    try:
        found = read(data)
    except (ValueError, KeyError):
        return
    other = tuples(msgspec.msgpack.decode(data))
    assert repr(found) == repr(other)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xca" + struct.pack(">f", 1.5), 1.5),
        (b"\xd0\x80", -128), (b"\xd0\x7f", 127), (b"\xd1\x80\x00", -(2**15)),
        (b"\xd2\x80\x00\x00\x00", -(2**31)), (b"\xd3" + b"\xff" * 8, -1), (b"\xe0", -32),
        (b"\xcf" + b"\xff" * 8, 2**64 - 1), (b"\xdd\x00\x00\x00\x01\xc0", (None,)),
        (b"\xd9\x02\xc3\xa9", "\xe9"), (b"\xc6\x00\x00\x00\x01a", b"a"),
    ],
)  # fmt: skip
def test_every_width_of_a_number_and_a_length(data, value):
    found = read(data)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_one_float():
    assert math.isnan(read(b"\xcb" + struct.pack(">d", math.nan)))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xc1", b"\x80", b"\x81\xa1a\x01", b"\xde\x00\x00", b"\xdf\x00\x00\x00\x00",
        b"\x91", b"\xa2a", b"\xa1\xff", b"\xa3\xed\xa0\x80", b"\xc4\x02a", b"\xcc", b"\xd9",
        b"\xc0\xc0", b"\xdd\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xffa", b"\xc9\xff\xff\xff\xff\x01",
        b"\xdc\x04\x01" + b"\xc0" * 1025, b"\x91" * 7 + b"\xc0", b"\xd8\x01", b"\xd4\x01",
    ],
)  # fmt: skip
def test_everything_else_is_refused(data):
    with pytest.raises(ValueError, match=r"at byte|decode"):
        read(data)


def test_the_deepest_and_the_longest_are_still_read():
    assert depth(read(b"\x91" * 6 + b"\xc0")) == 6
    assert len(read(b"\xdc\x04\x00" + b"\xc0" * 1024)) == 1024


def test_extensions_go_to_the_caller_with_a_signed_code():
    seen: list[tuple[int, bytes]] = []

    def extension(code: int, raw: bytes) -> str:
        seen.append((code, raw))
        return "made"

    data = b"\x93\xd4\xffx\xd6\x02abcd\xc7\x00\x05"
    assert unpack(data, extension, 1, 3) == ("made",) * 3
    assert seen == [(-1, b"x"), (2, b"abcd"), (5, b"")]
    with pytest.raises(KeyError):
        read(data)


@pytest.mark.parametrize(("deepest", "longest"), [(-1, 0), (65, 0), (1, -1)])
def test_impossible_limits_are_refused(deepest, longest):
    with pytest.raises(ValueError, match="depth must be"):
        unpack(b"\xc0", refuse, deepest, longest)
