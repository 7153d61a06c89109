"""Whatever a program puts into an event, the summary takes it, within bounds and in plain text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from belljar.events.catalogue import BY_NAME
from belljar.events.targets import BigInt, Code, Cut, TypeName, resolve
from belljar.model import Event, Frame
from belljar.report.effects import effect, tells_nothing
from belljar.report.summary import Summary

TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.binary(max_size=20),
    st.builds(TypeName, TEXT), st.builds(BigInt, st.integers()),
    st.builds(Cut, TEXT, st.integers(0)), st.builds(Code, TEXT, TEXT, st.integers()),
    TEXT.map(lambda t: f"/{t}"),
)  # fmt: skip
ARGS = st.lists(st.one_of(PLAIN, st.lists(PLAIN, max_size=3).map(tuple)), max_size=6).map(tuple)
NAMES = st.one_of(st.sampled_from(sorted(BY_NAME)), TEXT)
FRAMES = st.lists(st.builds(Frame, TEXT, st.integers(), TEXT), max_size=1).map(tuple)


@st.composite
def events(draw):
    name, args = draw(NAMES), draw(ARGS)
    right, target, asked = resolve(name, args, "/w")[0]
    return Event(1, 0, 7, draw(st.integers(0, 3)), name, args, right, target, asked, draw(FRAMES))


@given(st.lists(events(), max_size=20), TEXT)
def test_any_event_has_an_effect_that_can_be_shown(some, label):
    summary = Summary("/w", "/home/me")
    for event in some:
        summary.packages.apply(event.pid, event.thread, label, effect(event))
    lines = summary.lines()
    assert len(lines) <= 40
    assert all(line.isprintable() and len(line) <= 100 for line in lines)


@given(events())
def test_kinds_that_are_not_looked_at_would_have_had_no_effect(event):
    if event.name.encode("utf-8", "surrogatepass") in tells_nothing():
        assert effect(event) == ()
