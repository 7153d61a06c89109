"""A denial as text: one line that says what, where and why, and moves no cursor."""

from __future__ import annotations

import pytest

from belljar.model import Decision, Event, Frame
from belljar.sandbox.result import Denial

FRAME = Frame("job.py", 14, "load")
EVENT = Event(0, 1, 7, 1, "open", (), "read", "/etc/passwd", "../passwd", (FRAME,))
DENIED = Denial(EVENT, Decision("deny", "no grant covers it"), "read", "/etc/passwd", 412)


def test_a_denial_is_one_line() -> None:
    line = "denied[read]: may not read /etc/passwd, at job.py:14 in load: no grant covers it"
    assert str(DENIED) == line
    assert repr(DENIED) == f"<Denial {line!r}>"
    assert str(DENIED.replace(event=EVENT.replace(stack=()))) == (
        "denied[read]: may not read /etc/passwd: no grant covers it"
    )


def test_an_alert_says_that_it_is_one() -> None:
    alert = DENIED.replace(kind="alert", decision=Decision("allow", "secrets were read"))
    assert str(alert).startswith("alert[read]: read /etc/passwd, at job.py:14")


def test_an_event_of_an_application_has_its_name() -> None:
    own = DENIED.replace(right="", target="x", event=EVENT.replace(name="app.pay", right=None))
    assert str(own).startswith("denied[app.pay]: may not raise app.pay x, at")


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31mb", "\u202eb", "\udc80", "x" * 100_000])
def test_what_the_guest_wrote_is_harmless_and_short(text: str) -> None:
    frame = FRAME.replace(file=text, function=text)
    denial = DENIED.replace(target=text, event=EVENT.replace(stack=(frame,)))
    for shown in (str(denial), repr(denial)):
        assert shown.isprintable()
        assert len(shown) < 2000
        shown.encode()
