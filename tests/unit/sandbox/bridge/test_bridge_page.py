"""docs/bridge.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from belljar.sandbox.bridge.wire import HEAD, BridgeLimits
from belljar.sandbox.guest import keys, kinds, ops, values
from belljar.sandbox.guest.reading import _GET, _GROWTH, _no_value

PAGE = (Path(__file__).parents[4] / "docs/bridge.md").read_text("utf-8")
SIDES = {
    ops.ASKED_BY_HOST: ("", "host"), ops.NOTED_BY_HOST: (" (note)", "host"),
    ops.ASKED_BY_GUEST: ("", "guest"), ops.NOTED_BY_GUEST: (" (note)", "guest"),
}  # fmt: skip
TIMES = {ops.ANY: "any", ops.OUTSIDE: "outside", ops.INSIDE: "inside"}


def test_the_phase_table_is_the_pages() -> None:
    rows = re.findall(r"^\| \d+ \| `.*$", PAGE, re.MULTILINE)
    assert rows == [
        f"| {number} | `{name}`{SIDES[who][0]} | {SIDES[who][1]} | {TIMES[when]} |"
        for number, name, who, when in ops.OPERATIONS
    ]


def test_the_marks_are_the_pages() -> None:
    table = PAGE.partition("| Mark | Value |")[2].partition("\n\n")[0]
    told = [mark for row in table.splitlines() for mark in re.findall(r"`(.)`", row.split("|")[1])
            if row.count("|") > 2]  # fmt: skip
    assert sorted(told) == sorted(chr(n) for n, get in enumerate(_GET) if get is not _no_value)


def test_the_limits_are_the_pages() -> None:
    limits = BridgeLimits()
    for number, text in (
        (HEAD.size, "13 bytes"), (limits.frame >> 20, "64 MiB"), (ops.NESTED, "32 deep"),
        (limits.outstanding, "64 requests"), (limits.notes, "1,024 notes"),
        (limits.ahead >> 20, "128 MiB"), (values.DEPTH, "| 64 |"), (values.ROOM >> 20, "256 MiB"),
        (_GROWTH, "96 times"), (keys.SAME, "| 64 |"), (keys.MOST_FROZEN, "16,384 |"),
        (kinds._DIGITS, "65,000 digits"), (kinds._EXPONENT, "±1,000,000"),
        (kinds._PART, "4,096 bytes each"), (kinds._STEP, "32 bytes"), (keys._MANY, "2,048 keys"),
        (keys._PIECE, "128 at a time"), (ops.NAME_OF_ERROR, "256"),
        (ops.MESSAGE_OF_ERROR, "(65,536)"), (ops.TEXT_OF_ERROR, "(262,144)"),
    ):  # fmt: skip
        assert f"{number:,}" in text
        assert re.sub(r"\s+", " ", text) in re.sub(r"\s+", " ", PAGE), text
