"""What a guest passes on to a sandbox of its own is never more than it has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.errors import PolicyError
from belljar.model import Grant, Limits, Policy
from belljar.policy.within import within

OUTER = Policy(
    grants=(
        Grant("read", "/in", "p:1", "/srv/data"),
        Grant("write", "/out", "p:2", "/srv/out"),
        Grant("read", "/out/sub", "p:3", "/srv/out/sub"),
        Grant("connect", "tcp:api.example.com:443", "p:4"),
        Grant("import", "numpy", "p:5"),
        Grant("run", "/usr/bin/true", "p:6", "/usr/bin/true"),
    ),
    limits=Limits(memory=100 << 20, wall=10.0),
    env=(("SECRET", "x"),),
    block=("ctypes",),
)


def test_grants_are_the_outer_ones_with_their_sources() -> None:
    asked = {"read": "/in", "connect": ["api.example.com:443"], "import_": ["numpy"], "wall": "5s"}
    inner = within(OUTER, asked)
    assert inner.grants == (OUTER.grants[0], OUTER.grants[3], OUTER.grants[4])
    assert inner.limits == OUTER.limits.replace(wall=5.0)
    assert (inner.env, inner.block) == ((), ("ctypes",))


def test_without_asking_there_are_no_grants() -> None:
    assert within(OUTER, {}).grants == ()


def test_what_the_guest_could_have_replaced_is_not_passed_on() -> None:
    with pytest.raises(PolicyError, match="more than the sandbox itself"):
        within(OUTER, {"read": ["/out/sub"]})


WORDS = st.sampled_from(
    ("read", "write", "append", "connect", "import", "import_", "run", "env", "memory", "wall",
     "cpu", "open_files", "bytecode", "", "read_", "ledger", "stdin")
)  # fmt: skip
TEXTS = st.sampled_from(
    ("/in", "/in/", "/in/x", "/out", "/out/sub", "/", "/srv/data", "-/in", "api.example.com:443",
     "api.example.com:*", "*", "numpy", "NumPy", "pandas", "64M", "1G", "5s", "\0", "",
     "/in/../etc", "//in", "true")
)  # fmt: skip
VALUES = st.one_of(
    TEXTS, st.integers(), st.floats(), st.booleans(), st.none(), st.binary(max_size=4),
    st.lists(st.one_of(TEXTS, st.none(), st.lists(TEXTS, max_size=1)), max_size=3),
    st.dictionaries(TEXTS, TEXTS, max_size=2),
)  # fmt: skip


@given(st.one_of(VALUES, st.dictionaries(st.one_of(WORDS, st.integers()), VALUES, max_size=4)))
def test_whatever_is_asked_nothing_is_gained(asked: object) -> None:
    try:
        inner = within(OUTER, asked)
    except PolicyError:
        return
    assert set(inner.grants) <= set(OUTER.grants)
    for name in Limits.__fields__:
        assert getattr(inner.limits, name) <= getattr(OUTER.limits, name)
    kept = ("block", "extensions", "bytecode", "builtins", "rules", "ledger", "os_info", "net_info")
    assert all(getattr(inner, name) == getattr(OUTER, name) for name in kept)
