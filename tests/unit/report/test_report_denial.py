"""The text of a denial, whole; nothing in it can be forged by the guest."""

from __future__ import annotations

import pytest

from belljar.model import Decision, Event, Frame, Grant, Protection, Rule, Status
from belljar.report.denial import render, render_alert

STATUS = Status("user", (Protection("files", "full", "x"), Protection("network", "full", "x")))
EVENT = Event(
    9, 0, 7, 7, "open", ("../etc/passwd", "r", 0), "read", "/etc/passwd", "../etc/passwd",
    (Frame("/box/job.py", 14, "load"),),
)  # fmt: skip
NEAR = Grant("read", "/etc/hosts", "policy.toml:7")
DENY = Decision("deny", "no grant covers it", NEAR, "--read /etc/passwd")


def text(event: Event = EVENT, decision: Decision = DENY, **more: object) -> str:
    right, target = str(more.pop("right", "read")), str(more.pop("target", "/etc/passwd"))
    number, status = more.pop("number", 412), more.pop("status", STATUS)
    return render("etl", event, decision, right, target, number, status, **more)  # type: ignore[arg-type]


def test_a_denial_says_who_what_where_why_and_the_way_out() -> None:
    assert text() == (
        'denied[read]: guest "etl" may not read /etc/passwd\n'
        "  at      /box/job.py:14 in load            asked as ../etc/passwd\n"
        '  because no grant covers it                nearest: policy.toml:7 read = "/etc/hosts"\n'
        "  allow   --read /etc/passwd                record #412"
    )


def test_what_no_grant_can_give_and_nobody_records_is_told_so() -> None:
    shown = text(decision=Decision("deny", "why"), number=None)
    assert shown.endswith("\n  allow   no grant can                      not recorded")


def test_without_a_frame_the_place_is_told_as_unknown() -> None:
    shown = text(event=EVENT.replace(stack=(), asked=None)).split("\n")
    assert shown[1] == "  at      outside any Python frame"


@pytest.mark.parametrize(
    ("right", "verb"),
    [("connect", "connect to"), ("append", "append to"), ("bind", "listen on"), ("other", "other")],
)
def test_rights_are_told_as_verbs(right: str, verb: str) -> None:
    assert text(right=right, target="x").startswith(
        f'denied[{right}]: guest "etl" may not {verb} x\n'
    )


@pytest.mark.parametrize(
    "grant",
    [
        Grant("read", "/usr/lib", "runtime"), Grant("read", "/srv/data", "policy.toml:7"),
        Grant("read", "/", "policy.toml:7"),
    ],
)  # fmt: skip
def test_a_grant_that_is_not_near_is_not_told(grant: Grant) -> None:
    assert "nearest" not in text(decision=DENY.replace(grant=grant))


def test_a_grant_by_flag_is_told_as_it_was_written() -> None:
    grant = Grant("read", "/etc/hosts", "--read")
    assert "nearest: --read /etc/hosts" in text(decision=DENY.replace(grant=grant))


def test_a_rule_is_told_in_place_of_a_grant() -> None:
    shown = text(decision=DENY.replace(rule=Rule(then="deny", origin="policy.toml:30"), remedy=""))
    assert "rule: policy.toml:30" in shown
    assert "nearest" not in shown


def test_a_wall_that_is_less_than_full_is_told() -> None:
    weak = Status("landlock", (Protection("files", "partial", "x"), Protection("cpu", "none", "")))
    assert text(status=weak).endswith("\n  walls   files partial")
    assert "walls" not in text(status=weak, right="connect", target="1.2.3.4:5")


def test_colour_is_only_on_the_head() -> None:
    shown = text(colour=True)
    assert shown.startswith("\x1b[31mdenied[read]:\x1b[0m guest")
    assert shown.count("\x1b") == 2


NASTY = "x\n\x1b[2J\u202e\udcff\r"


def test_nothing_of_the_guest_leaves_its_line_or_moves_the_cursor() -> None:
    event = EVENT.replace(stack=(Frame(NASTY, 1, NASTY),), asked=NASTY + "2")
    decision = Decision("deny", NASTY, Grant("read", NASTY, NASTY), NASTY, Rule(origin=NASTY))
    shown = render(NASTY, event, decision, "read", NASTY, 1, STATUS)
    lines = shown.split("\n")
    assert len(lines) == 4
    assert [line[:9].strip() for line in lines[1:]] == ["at", "because", "allow"]
    assert shown.replace("\n", "").isprintable()
    assert "\u202e" not in shown
    alert = render_alert(NASTY, event.replace(name=NASTY), decision, "read", NASTY, 1, STATUS)
    assert len(alert.split("\n")) == 3
    assert alert.replace("\n", "").isprintable()


def test_a_refusal_by_a_rule_says_that_it_is_a_window() -> None:
    for then, how in (
        ("deny", "  how     refused in the process itself: a window, not a wall"),
        ("kill", "  how     the process was told to end itself before it: a window, not a wall"),
    ):
        shown = text(decision=DENY.replace(rule=Rule(then=then, origin="p.toml:3"), remedy=""))
        assert how in shown.splitlines()
    assert "window" not in text(decision=DENY.replace(rule=None))


def test_an_event_without_a_right_is_named_itself() -> None:
    rule = Rule(then="kill", origin="p.toml:3")
    shown = text(
        event=EVENT.replace(name="shop.re\x1bfund"), decision=DENY.replace(rule=rule), right="",
        target="",
    )  # fmt: skip
    assert shown.startswith(r'denied[shop.re\x1bfund]: guest "etl" may not raise shop.re\x1bfund')


def test_an_alert_names_its_event_and_its_rule() -> None:
    decision = Decision("allow", "granted", None, "", Rule(then="alert", origin="policy.toml:30"))
    assert render_alert("etl", EVENT, decision, "read", "/etc/passwd", 5, STATUS) == (
        'alert[open]: guest "etl" /etc/passwd\n'
        "  at      /box/job.py:14 in load\n"
        "  because rule policy.toml:30               record #5"
    )
    bare = render_alert("etl", EVENT.replace(stack=()), decision, "", "", None, STATUS)
    assert bare == (
        'alert[open]: guest "etl"\n  because rule policy.toml:30               not recorded'
    )


def test_an_alert_of_a_rule_that_explains_itself() -> None:
    rule = Rule(then="alert", origin="p.toml:3", id="mine", text="what it\x1bmeans")
    shown = render_alert("etl", EVENT, Decision("none", "x", rule=rule), "read", "/x", 5, STATUS)
    assert shown.split("\n")[2:] == [
        r"  because what it\x1bmeans",
        "  rule    mine at p.toml:3                  record #5",
    ]
