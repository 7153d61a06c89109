"""The receipt of a process that confined itself, for what this machine may not have."""

from __future__ import annotations

import resource

import pytest

from belljar.confine.here import plan as here_plan
from belljar.confine.here.held import Descriptor, Held
from belljar.confine.here.plan import Plan
from belljar.confine.here.status import Kept, receipt
from belljar.confine.probe import Facts
from belljar.confine.table import ATTEMPTS, usual
from belljar.confine.view import View
from belljar.model import Grant, Policy, Status

NOTHING = Held((), (), (), ())
PLAN = Plan(View(isolated=False), (), (), ())
PORT = Grant("connect", "tcp:10.0.0.1:443", "connect=")


def of(
    policy: Policy | None = None,
    *,
    plan: Plan = PLAN,
    facts: Facts | None = None,
    held: Held = NOTHING,
    sync: bool = False,
) -> Status:
    kept = Kept(held, frozenset(), close=False, again=False)
    return receipt(policy or Policy(), plan, facts or usual("landlock"), held, kept, sync)


def test_a_trial_that_got_through_is_never_called_full() -> None:
    through = Facts("landlock", 7, dict.fromkeys(ATTEMPTS, (0, 0)), (), -1)
    rows = of(facts=through).protections
    probed = {"files", "network", "processes", "syscalls", "wall", "open-files", "memory", "cpu"}
    assert {row.level for row in rows if row.name in probed} == {"none"}


def test_what_could_not_be_tried_outside_is_no_proof() -> None:
    nothing = Facts("landlock", 7, dict.fromkeys(ATTEMPTS, (13, 13)), (), 0)
    assert of(facts=nothing).level("files") == "none"


def test_threads_are_held_where_landlock_takes_all_of_them() -> None:
    held = NOTHING.replace(threads=("worker (7)",))
    alone = of(held=held)
    assert (alone.level("existing-threads"), alone.level("files")) == ("partial", "partial")
    together = of(held=held, sync=True)
    assert (together.level("existing-threads"), together.level("files")) == ("full", "full")


def test_ports_need_a_kernel_that_knows_them() -> None:
    plan = PLAN.replace(ports=(PORT,))
    old = usual("landlock").replace(abi=3)
    assert of(plan=plan).level("network") == "partial"
    assert of(plan=plan, facts=old).level("network") == "none"


def test_a_clock_is_partial_where_there_may_be_children() -> None:
    many = Policy(limits=Policy().limits.replace(processes=2))
    assert of().level("wall") == "full"
    assert of(many).level("wall") == "partial"
    assert of(Policy(accept_partial=("wall",))).level("wall") == "none"


def test_descriptors_that_reach_nothing_need_no_name() -> None:
    harmless = Descriptor(5, "5 ([eventpoll])", reaches=False)
    loose = Descriptor(6, "6 (pipe, writing)")
    assert of(held=NOTHING.replace(descriptors=(harmless,))).level("descriptors") == "full"
    assert of(held=NOTHING.replace(descriptors=(loose,))).level("descriptors") == "partial"


def test_processor_time_is_counted_from_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = resource.struct_rusage((100.5, 20.25, *[0] * 14))
    monkeypatch.setattr(resource, "getrusage", lambda who: spent)
    words = here_plan.bounds(Policy(), again=False)
    at = words.index("cpu")
    assert words[at + 1 : at + 3] == ["181", "182"]
    assert "core" in words
    assert "core" not in here_plan.bounds(Policy(), again=True), "the first filter keeps that one"
