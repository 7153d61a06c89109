"""What a host makes of a guest that says that it is narrower: only less, whatever it says."""

from __future__ import annotations

from typing import Any

import pytest

from belljar.errors import GuestProtocolError
from belljar.model import Grant, Limits, Policy, Protection, Status
from belljar.sandbox.live.narrowed import Narrowed, less

GRANTS = (Grant("read", "/a", "x"), Grant("read", "/b", "x"), Grant("connect", "tcp:h:1", "x"))
POLICY = Policy(grants=GRANTS, limits=Limits(cpu=10.0, wall=20.0, output=1000))
ROWS = {"read": ("full", "Landlock", "")}


class Lowered:
    def __init__(self) -> None:
        self.values: list[Any] = []

    def lower(self, value: Any) -> None:
        self.values.append(value)


class Guest:
    def __init__(self) -> None:
        self.policy = POLICY
        self.clocks, self.output = Lowered(), Lowered()


def test_grants_and_limits_become_fewer_and_lower_only() -> None:
    asked = {"read": ["/a", "/etc", "/a/b"], "write": ["/"], "connect": ["tcp:h:2"]}
    found = less(POLICY, asked, {"cpu": 100, "wall": 5, "memory": 1 << 59})
    assert found.grants == GRANTS[:1]
    assert (found.limits.cpu, found.limits.wall) == (10.0, 5)
    assert found.limits.memory == POLICY.limits.memory
    assert less(POLICY, {}, {}).grants == ()
    assert less(POLICY, {}, {"output": 10.5}).limits.output == 10


def test_clocks_output_and_sandboxes_are_told() -> None:
    guest = Guest()
    narrowed = Narrowed(guest)  # type: ignore[arg-type]
    told: list[Policy] = []
    narrowed.sandboxes = type("Inner", (), {"narrow": lambda _self, policy: told.append(policy)})()
    narrowed(({"read": ["/b"]}, {"wall": 1.5, "output": 10}, "read=/b", ROWS))
    assert guest.policy.grants == GRANTS  # what the run was granted; its limits are lower
    assert guest.policy.limits.wall == 1.5
    assert guest.clocks.values[0].wall == 1.5
    assert guest.output.values == [10]
    assert told[0].grants == GRANTS[1:2]
    narrowed(({"read": ["/a", "/b"]}, {"wall": 9}, "", {}))
    assert told[1].grants == GRANTS[1:2]  # never back
    assert guest.policy.limits.wall == 1.5


def test_the_status_has_a_row_for_what_was_said() -> None:
    narrowed = Narrowed(Guest())  # type: ignore[arg-type]
    receipt = Status("root", (Protection("files", "full", "mounts"),))
    assert narrowed.status(receipt) is receipt
    narrowed(({}, {}, "\x1b[31m", {}))
    assert "\x1b" not in narrowed.status(receipt).protections[-1].reason
    narrowed(({}, {}, "nothing", ROWS))
    row = narrowed.status(receipt).protections[-1]
    assert (row.name, row.level) == ("narrowed", "partial")
    assert row.reason == "keeps nothing; read full (Landlock)"


LONG = "x" * 5000
WRONG = {
    "no tuple": [],
    "too few": ({}, {}, ""),
    "no dict": ([], {}, "", {}),
    "a key that is no text": ({1: []}, {}, "", {}),
    "a target that is no list": ({"read": "/a"}, {}, "", {}),
    "targets that are no texts": ({"read": [b"/a"]}, {}, "", {}),
    "a long target": ({"read": [LONG]}, {}, "", {}),
    "many targets": ({"read": ["/a"] * 5000}, {}, "", {}),
    "a limit of no name": ({}, {"disk": 1}, "", {}),
    "a limit that is no number": ({}, {"cpu": "1"}, "", {}),
    "a truth for a limit": ({}, {"cpu": True}, "", {}),
    "no limit at all": ({}, {"cpu": 0}, "", {}),
    "not a number": ({}, {"cpu": float("nan")}, "", {}),
    "an endless limit": ({}, {"cpu": float("inf")}, "", {}),
    "a long text": ({}, {}, LONG, {}),
    "many rows": ({}, {}, "", {str(n): ("", "", "") for n in range(40)}),
    "a short row": ({}, {}, "", {"read": ("full",)}),
    "a row of numbers": ({}, {}, "", {"read": (1, 2, 3)}),
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_what_our_own_guest_part_does_not_send_is_no_protocol(body: Any) -> None:
    guest = Guest()
    with pytest.raises(GuestProtocolError):
        Narrowed(guest)(body)  # type: ignore[arg-type]
    assert guest.policy is POLICY
    assert not guest.clocks.values
