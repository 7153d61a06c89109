"""The receipt as text, as one line and as data."""

from __future__ import annotations

from belljar.model import Protection, Status
from belljar.report.receipt import as_json, render, summary

STATUS = Status(
    "user",
    (
        Protection("files", "full", "a wall"),
        Protection("memory", "partial", "RLIMIT_DATA", "no cgroup"),
        Protection("os-info", "none", "", "visible"),
        Protection("processes", "full", "namespaces", "counted together"),
    ),
    "root: refused",
)


def test_the_weakest_rows_come_first() -> None:
    assert render(STATUS) == (
        "tier: user namespaces (root: refused)\n"
        "  os-info     none     visible\n"
        "  memory      partial  no cgroup; RLIMIT_DATA\n"
        "  files       full     a wall\n"
        "  processes   full     namespaces; counted together"
    )


def test_every_tier_has_words() -> None:
    assert render(Status("root", ())) == "tier: namespaces as root"
    assert render(Status("landlock", ())) == "tier: Landlock and seccomp only"
    process = render(Status("process", ()))
    assert process == "tier: this very process, by Landlock and seccomp"


def test_long_names_move_the_columns_of_all() -> None:
    rows = (Protection("existing-threads", "full", "none"), Protection("files", "full", "a wall"))
    assert render(Status("process", rows)).split("\n")[1:] == [
        "  existing-threads full     none",
        "  files            full     a wall",
    ]


def test_long_reasons_are_wrapped_below_themselves() -> None:
    row = Protection("memory", "none", "", "word " * 40)
    lines = render(Status("user", (row,))).split("\n")[1:]
    assert len(lines) == 3
    assert all(line.startswith(" " * 23 + "word") for line in lines[1:])
    assert max(map(len, lines)) <= 100


def test_levels_have_colours() -> None:
    shown = render(STATUS, colour=True)
    assert "\x1b[31mnone    \x1b[0m" in shown
    assert "\x1b[33mpartial \x1b[0m" in shown
    assert shown.count("\x1b[32mfull    \x1b[0m") == 2


def test_the_summary_names_what_is_not_full() -> None:
    assert summary(STATUS) == "full: files processes; partial: memory; none: os-info"
    assert summary(Status("user", STATUS.protections[:1])) == "full: files"


def test_as_data_the_keys_are_names() -> None:
    data = as_json(STATUS)
    assert data["tier"] == "user"
    assert data["protections"]["memory"] == {  # type: ignore[index]
        "level": "partial", "by": "RLIMIT_DATA", "reason": "no cgroup",
    }  # fmt: skip
