"""The answer slot of an event that waits, read without decoding the rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar._native import pack
from belljar.events.slots import HEADER, slot_of

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


def frame(*body: Any) -> bytes:
    return bytes(HEADER) + pack(list(body), 1 << 20)


@given(st.lists(values, max_size=6), values, values, st.integers(0, 2**31 - 1), values)
def test_whatever_stands_before_it(args: Any, where: Any, cwd: Any, slot: int, stack: Any) -> None:
    assert slot_of(frame("open", args, where, cwd, slot)) == slot
    assert slot_of(frame("open", args, where, cwd, slot, stack)) == slot


@pytest.mark.parametrize("slot", [None, -1, "7", b"7", 7.0, [7], 2**40])
def test_what_is_no_slot(slot: Any) -> None:
    assert slot_of(frame("open", [], None, None, slot)) == -1


@pytest.mark.parametrize("size", [3, 4])
def test_an_event_that_names_none(size: int) -> None:
    assert slot_of(frame(*range(size))) == -1


def test_extensions_are_passed_over() -> None:
    for ext in (b"\xc7\x03\x05abc", b"\xd6\x03abcd", b"\xc8\x00\x01\x04a", b"\xd4\x01a"):
        body = b"\x95\xa1x\x91" + ext + b"\xc0\xc0\xcd\x01\x00"
        assert slot_of(bytes(HEADER) + body) == 256


@given(st.binary(max_size=200))
def test_hostile_bytes_are_nobodys_slot_and_raise_nothing(body: bytes) -> None:
    for head in (b"", b"\x95", b"\x96"):
        assert isinstance(slot_of(bytes(HEADER) + head + body), int)


def test_arrays_of_arrays_cost_little() -> None:
    assert slot_of(bytes(HEADER) + b"\x95" + b"\xdd\xff\xff\xff\xff" * 800) == -1
    assert slot_of(bytes(HEADER) + b"\x95" + b"\x9f" * 4000) == -1
