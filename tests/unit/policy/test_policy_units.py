"""Sizes and times: read as documented, written so that they read back."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.policy.units import (
    MAX_MILLISECONDS,
    MAX_SIZE,
    format_size,
    format_time,
    parse_size,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), (4096, 4096), ("12B", 12), ("1K", 1024), ("256M", 256 << 20), ("1G", 1 << 30),
        ("2T", 2 << 40), ("1KiB", 1024), ("1 GiB", 1 << 30), ("1kB", 1000),
        ("1.5GB", 1_500_000_000), ("0.5K", 512), ("1.0001K", 1024),
    ],
)  # fmt: skip
def test_a_size_is_read(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "M", "1m", "1k", "-1", "+1", "1e3", "1..2", ".5M", "1.M", "0x10", "1 2", "١M", -1, 1.0,
     True, None, [1], MAX_SIZE + 1, "2000T", "9" * 5000],
)  # fmt: skip
def test_what_is_no_size_is_refused_with_a_reason(text: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("5s", 5.0), ("2m", 120.0), ("1h", 3600.0), ("7", 7.0), (3, 3.0), (0.25, 0.25),
     ("1.5h", 5400.0), ("0.0015s", 0.001)],
)  # fmt: skip
def test_a_time_is_read_in_seconds(text: object, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "s", "5S", "5 d", "-1s", 0, 0.0001, -1, True, None, float("nan"), float("inf"), 10**400,
     "0s", "99999999h"],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_a_reason(text: object) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_time(text)


@given(st.integers(0, MAX_SIZE))
def test_a_size_that_is_written_reads_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(1, MAX_MILLISECONDS))
def test_a_time_that_is_written_reads_back(milliseconds: int) -> None:
    assert parse_time(format_time(milliseconds / 1000)) == milliseconds / 1000


@given(st.text())
def test_any_text_is_a_measure_or_a_value_error(text: str) -> None:
    for parse in (parse_size, parse_time):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0
