"""Keys that no wall enforces refuse to start: they would promise what does not hold."""

from __future__ import annotations

import pytest

from belljar.confine.available import check
from belljar.errors import PolicyError
from belljar.model import Grant, Policy, Rule


def test_what_is_enforced_may_be_asked_for() -> None:
    check(Policy())
    targets = ("tcp:10.0.0.1:80", "tcp:10.0.0.0/8:*", "tcp:[::1]:443")
    check(
        Policy(
            grants=(
                *(Grant("connect", target, "--connect") for target in targets),
                Grant("read", "/data", "--read"),
                Grant("write", "/data", "--write"),
            ),
            rules=tuple(Rule(then=then) for then in ("record", "alert", "deny", "kill")),
            given=(("record.must-log", "--must-log"),),
        )
    )


def test_built_ins_are_those_that_exist() -> None:
    check(Policy(builtins=("print", "len")))
    with pytest.raises(PolicyError, match="no built-in 'prnt'"):
        check(Policy(builtins=("prnt",)))


def test_nothing_can_wait_for_a_record_that_is_not_kept() -> None:
    policy = Policy(ledger="none", given=(("record.must-log", "policy.toml:3"),))
    with pytest.raises(PolicyError) as caught:
        check(policy)
    assert caught.value.place == "policy.toml:3"
    check(policy.replace(must_log=()))
    check(Policy(ledger="none"))


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("network.accept-from", {"accept_from": ("10.0.0.0/8",)}),
        ("protections", {"protections": ("x",)}),
    ],
)
def test_a_key_without_a_wall_is_refused_at_its_place(key: str, change: dict) -> None:
    policy = Policy(given=((key, "policy.toml:7"),)).replace(**change)
    with pytest.raises(PolicyError) as caught:
        check(policy)
    assert caught.value.place == "policy.toml:7"
    assert caught.value.message.startswith(f"{key}: no wall enforces this yet (")
