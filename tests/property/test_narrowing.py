"""Whatever is asked for, `narrow` never gives what one of the two policies does not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.test_decide import events, policies

from belljar.model import Event, Grant, Policy
from belljar.policy import decide
from belljar.policy.narrowing import narrow

plain = policies.map(  # the same names on both sides: a mapped name means another thing to each
    lambda p: p.replace(grants=tuple(g.replace(source="") for g in p.grants), rules=())
)


@given(plain, plain, events)
def test_what_is_allowed_after_narrowing_was_denied_by_neither(
    outer: Policy, asked: Policy, event: Event
) -> None:
    found = narrow(outer, asked).policy
    if decide(found, event).verdict == "allow":
        assert decide(outer, event).verdict != "deny"
        assert decide(asked, event).verdict != "deny"


PATHS = st.sampled_from(["/", "/a", "/a/b", "/x"])
HOSTS = st.sampled_from(["10.0.0.0/8", "10.1.2.3"])
PORTS = st.sampled_from(["80", "*"])
ADDRESSES = st.tuples(st.sampled_from(["tcp"]), HOSTS, PORTS).map(
    lambda a: f"{a[0]}:[{a[1]}]:{a[2]}" if ":" in a[1] else f"{a[0]}:{a[1]}:{a[2]}"
)
FILES = st.sampled_from(["read", "list", "write", "append"])
few = st.lists(
    st.builds(Grant, FILES, PATHS, st.just("here"))
    | st.builds(Grant, st.sampled_from(["connect", "bind"]), ADDRESSES, st.just("here")),
    max_size=4,
).map(lambda grants: Policy(grants=tuple(grants)))


def event(right: str, target: str) -> Event:
    return Event(1, 0, 1, 1, "made.up", (), right, target, target)


@settings(max_examples=1000)
@given(few, few, st.builds(event, FILES, PATHS) | st.builds(event, st.just("connect"), ADDRESSES))
def test_in_a_small_world_too_where_much_is_allowed(
    outer: Policy, asked: Policy, one: Event
) -> None:
    if decide(narrow(outer, asked).policy, one).verdict == "allow":
        assert decide(outer, one).verdict == "allow"
        assert decide(asked, one).verdict == "allow"


@given(plain, plain)
def test_narrowing_twice_is_narrowing_once(outer: Policy, asked: Policy) -> None:
    once = narrow(outer, asked).policy
    assert set(narrow(once, asked).policy.grants) <= set(once.grants)
    assert narrow(outer, outer).policy.limits == outer.limits


@given(plain, st.integers(1, 1 << 40))
def test_a_limit_never_grows(outer: Policy, memory: int) -> None:
    asked = outer.replace(limits=outer.limits.replace(memory=memory))
    assert narrow(outer, asked).policy.limits.memory <= outer.limits.memory
