"""The text of an alert, whole; nothing in it can be forged by the program."""

from __future__ import annotations

import json

import pytest

from belljar.model import Event, Frame, Rule
from belljar.report.alert import as_json, headline, render
from belljar.watch.arbiter import Alert

EVENT = Event(
    9, 0, 71, 71, "os.system", ("true",), "run", "/bin/sh", "true", (Frame("job.py", 14, "load"),)
)
RULE = Rule(
    "os.system", then="alert", id="shell-from-python", origin="shipped/shell-from-python.toml:4",
    text="a shell was started",
)  # fmt: skip
ALERT = Alert(RULE, EVENT, "requests 2.31.0", "python job.py", 412)


def test_an_alert_says_who_what_where_why_and_which_rule() -> None:
    assert render(ALERT) == (
        "alert[shell-from-python]: python job.py (process 71) wants to run /bin/sh\n"
        "  at      job.py:14 in load                 package requests 2.31.0\n"
        "          asked as true\n"
        "  because a shell was started\n"
        "  rule    shell-from-python                 record #412"
    )


def test_what_is_not_known_is_left_out_or_told_so() -> None:
    bare = Alert(Rule(origin="my.toml:3"), Event(1, 0, 7, 7, "shop.refund", (5,)), "")
    assert render(bare) == (
        "alert[shop.refund]: the program (process 7) raised shop.refund\n"
        "  at      outside any Python frame\n"
        "  rule    my.toml:3                         not recorded"
    )


@pytest.mark.parametrize(
    ("then", "head", "how"),
    [
        ("deny", "denied", "  how     refused in the process itself: a window, not a wall"),
        (
            "kill",
            "killed",
            "  how     the process was told to end itself before it: a window, not a wall",
        ),
    ],
)
def test_a_refusal_is_labelled_as_a_window(then: str, head: str, how: str) -> None:
    shown = render(ALERT.replace(rule=RULE.replace(then=then), refused=True))
    assert shown.startswith(f"{head}[shell-from-python]: ")
    assert how in shown.split("\n")
    late = render(ALERT.replace(rule=RULE.replace(then=then), refused=False))
    assert late.startswith("alert[")  # it did not wait: nothing was refused
    assert "window" not in late


def test_a_rule_of_ones_own_tells_where_it_stands() -> None:
    own = RULE.replace(id="mine", origin="my.toml:3")
    assert "  rule    mine at my.toml:3 " in render(ALERT.replace(rule=own))


@pytest.mark.parametrize("package", ["standard library", "interpreter"])
def test_what_is_no_distribution_is_not_called_a_package(package: str) -> None:
    assert f"  {package}\n" in render(ALERT.replace(package=package))


def test_nothing_of_the_program_reaches_the_terminal_as_it_is() -> None:
    evil = "\x1b[2J\nalert[x]: fine"
    event = EVENT.replace(
        name=evil, target=evil, asked=evil + "y", stack=(Frame(evil, 1, evil),), right=evil
    )
    shown = render(Alert(RULE.replace(id="", text=evil), event, evil, evil))
    assert "\x1b" not in shown
    assert all(line.startswith(("alert[\\x1b", "  ")) for line in shown.split("\n"))
    assert "\n" not in headline(Alert(RULE, event, evil, evil))


def test_an_alert_as_json_has_stable_keys() -> None:
    row = json.loads(json.dumps(as_json(ALERT)))
    assert (row["rule"], row["then"], row["refused"], row["record"]) == (
        "shell-from-python", "alert", False, 412,
    )  # fmt: skip
    assert row["at"] == {"file": "job.py", "line": 14, "function": "load"}
    assert set(as_json(ALERT)) == set(as_json(Alert(Rule(), Event(1, 0, 1, 1, "x", ()), "")))
