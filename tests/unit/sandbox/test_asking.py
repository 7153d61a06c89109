"""Which events of a guest wait: the constant is what the catalogue says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from belljar.model import Policy, Rule
from belljar.policy.possible import names_needing
from belljar.sandbox.asking import DEFAULT, NAMES, must_log, settings


def asked(policy: Policy) -> list[str]:
    lines = [line.split("\t") for line in settings(policy).splitlines()]
    assert all(key == "ask" for key, _ in lines)
    return [name for _, name in lines]


def test_the_constant_is_what_the_catalogue_says() -> None:
    assert Policy().must_log == DEFAULT
    assert names_needing(DEFAULT) == NAMES
    assert asked(Policy()) == list(NAMES)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(ledger="none"), []),
        (Policy(must_log=()), []),
        (Policy(must_log=("bind",)), ["socket.bind"]),
        (Policy(must_log=("bind",), ledger="none"), []),
        (Policy(must_log=(), rules=(Rule("os.system", then="alert"),)), []),
        (Policy(must_log=(), rules=(Rule("os.system", then="deny"),)), ["os.system"]),
        (Policy(ledger="none", rules=(Rule("shop.*", then="kill"),)), ["shop.*"]),
        (Policy(must_log=("bind",), rules=(Rule("x.y", then="kill"),)), ["x.y", "socket.bind"]),
    ],
)
def test_what_a_policy_lets_wait(policy: Policy, expected: list[str]) -> None:
    assert asked(policy) == expected


def test_without_a_ledger_nothing_waits_for_it() -> None:
    assert must_log(Policy()) == DEFAULT
    assert must_log(Policy(ledger="none")) == ()


def test_the_usual_case_imports_nothing_for_it() -> None:
    code = (
        "import sys, belljar.model, belljar.sandbox.asking as a\n"
        "before = set(sys.modules)\n"
        "assert a.settings(belljar.model.Policy())\n"
        "print(set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"set()\n"
