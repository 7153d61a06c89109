"""Whatever a guest sends about objects: an answer, a refusal, or the end of the guest."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar.errors import GuestProtocolError
from belljar.sandbox.bridge.failures import Refusal
from belljar.sandbox.bridge.handles import Handle
from belljar.sandbox.bridge.limits import Limit
from belljar.sandbox.bridge.objects import ObjectLimits, Objects
from belljar.sandbox.guest.values import Malformed

NAMES = st.sampled_from(
    ("get", "open", "__call__", "__class__", "_x", "", "vault", "level", "\udc80", "x" * 300)
)
NUMBERS = st.one_of(st.integers(-2, 8), st.integers(), st.booleans(), st.none())
PLAIN = st.recursive(
    st.one_of(st.none(), NUMBERS, NAMES, st.floats(), st.binary(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(NAMES, st.integers()), inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip
CALLS = st.tuples(NUMBERS, NAMES, st.lists(PLAIN, max_size=3).map(tuple),
                  st.dictionaries(NAMES, PLAIN, max_size=2))  # fmt: skip
BODIES = st.one_of(
    CALLS, st.tuples(NUMBERS, NAMES), st.lists(NUMBERS, max_size=6).map(tuple), PLAIN
)
OPS = st.one_of(st.sampled_from(("call", "get", "drop")), NAMES)
REFERENCES = st.tuples(st.integers(0, 5), st.integers(0, 12), st.one_of(
    st.sampled_from(("function", "iterator", "context")), PLAIN))  # fmt: skip


class Thing:
    level = 3

    def get(self, *args: Any, **kwargs: Any) -> object:
        return args or kwargs

    def open(self, *_args: Any, **_kwargs: Any) -> Thing:
        return Thing()


@pytest.mark.timeout(3600)
@settings(max_examples=50_000 if os.environ.get("BELLJAR_LONG") else 300, deadline=None)
@given(st.lists(st.one_of(st.tuples(OPS, BODIES), REFERENCES), max_size=20))
def test_every_frame_has_one_of_three_outcomes(frames: list[Any]) -> None:
    recorded: list[str] = []
    objects = Objects(lambda _name, method, why: recorded.append(method), ObjectLimits(5, 5))
    objects.share(
        "vault", Thing(), methods=["get", "open"], attributes=["level"],
        returns={"open": ["get", "open"]}, limits={"get": Limit(calls=5)},
        allow={"open": lambda *args: len(args) < 2},
    )  # fmt: skip
    kept: list[object] = []
    told: list[str] = []
    calls = 0
    for frame in frames:
        try:
            if len(frame) == 3:
                kept.append(objects.resolve(*frame))
                continue
            answer = objects.serve(*frame)
            calls += frame[0] == "call"
            if answer is not None:
                objects.refer(answer)
        except (GuestProtocolError, Malformed, Refusal) as error:
            told.append(str(error))
    assert all(len(text) < 2000 for text in told)
    assert all(len(method) <= 200 for method in recorded)
    assert len(recorded) >= calls, "a call that is not recorded"
    assert all(type(one) is Handle or "Guest" in type(one).__name__ for one in kept)
    assert len(objects.shared) <= 5
    objects.close()
