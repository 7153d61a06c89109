"""What is asked for is told to the recorder, and a slip of the pen gets the nearest names."""

from __future__ import annotations

import pytest

from belljar.errors import UsageError
from belljar.events.declaration import read
from belljar.events.declared import forget, register
from belljar.events.namespaces import alike
from belljar.model import Event
from belljar.watch.selection import Selection


def event(name, right=None, args=()):
    return Event(1, 0, 7, 7, name, args, right, "/x", "/x")


def test_nothing_asked_means_everything():
    assert Selection().everything
    assert Selection().lines() == ()
    assert Selection(["*"]).everything


def test_patterns_are_kept_and_the_rest_is_skipped():
    chosen = Selection(["open", "socket.*"])
    assert chosen.lines() == (("keep", "open"), ("keep", "socket.*"), ("skip", "*"))
    assert chosen.shows(event("socket.bind", "bind"))
    assert not chosen.shows(event("import", "import"))


def test_a_right_becomes_the_events_that_can_need_it():
    lines = Selection(rights=["connect"]).lines()
    assert ("keep", "socket.connect") in lines
    assert lines[-1] == ("skip", "*")
    assert not any(name.startswith("os.") for _, name in lines)


def test_what_only_the_arguments_tell_is_applied_here():
    writes = Selection(rights=["write"])
    assert ("keep", "open") in writes.lines()
    assert writes.shows(event("open", "write", ("/x", "w", 577)))
    assert not writes.shows(event("open", "read", ("/x", "r", 0)))
    native = Selection(rights=["native"])
    assert native.shows(event("import", "import", ("m", "/x/m.so")))
    assert not native.shows(event("import", "import", ("m", None)))


def test_patterns_and_rights_narrow_each_other():
    both = Selection(["os.*"], ["write"])
    names = [name for action, name in both.lines() if action == "keep"]
    assert "os.remove" in names
    assert all(name.startswith("os.") for name in names)


def test_an_applications_own_events_may_be_asked_for():
    assert Selection(["shop.refund"]).lines()[0] == ("keep", "shop.refund")
    assert Selection(["shop.*"]).shows(event("shop.sale"))


@pytest.mark.parametrize(
    ("pattern", "near"),
    [("opne", "open"), ("socket.conect", "socket.connect"), ("os.sistem", "os.system")],
)
def test_an_unknown_event_gets_the_nearest_names(pattern, near):
    with pytest.raises(UsageError, match="near: ") as caught:
        Selection([pattern])
    assert near in str(caught.value)


@pytest.mark.parametrize(
    "pattern", ["app.*", "db.*", "job.*", "api.*", "system.*", "mail.send", "*.pay", "sokcet.*"]
)
def test_what_does_not_begin_like_cpythons_events_is_an_applications(pattern):
    assert Selection([pattern]).lines()[0] == ("keep", pattern)


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("sokcet.*", ("socket.*",)), ("sockt.connect", ("socket.*",)), ("ctype.*", ("ctypes.*",)),
        ("socket.conect", ()), ("db.*", ()), ("app.*", ()), ("mail.send", ()), ("*.pay", ()),
    ],
)  # fmt: skip
def test_a_first_word_that_is_one_slip_from_one_of_cpythons_is_alike(pattern, near):
    assert alike(pattern) == near


def test_what_a_package_declares_makes_no_namespace_of_cpythons():
    register(read('schema = 1\n[event."bank.pay"]\narguments = ["to: str"]', "bank 1"))
    try:
        assert Selection(["bank.refund"]).patterns == ("bank.refund",)
    finally:
        forget()


@pytest.mark.parametrize("pattern", ["nosuch", "", "x\ny", "o?en", "!open", "a" * 101])
def test_what_is_no_event_at_all_is_refused(pattern):
    with pytest.raises(UsageError):
        Selection([pattern])


def test_an_unknown_right_gets_the_nearest_names_or_all():
    with pytest.raises(UsageError, match="near: connect"):
        Selection(rights=["conect"])
    with pytest.raises(UsageError, match="read, write, append"):
        Selection(rights=["zzz"])
