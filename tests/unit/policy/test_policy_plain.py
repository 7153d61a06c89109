"""A policy survives the ledger; what is no policy does not become one."""

from __future__ import annotations

import msgspec
import pytest

from belljar._native import pack
from belljar.model import Grant, Limits, Policy, Rule
from belljar.policy import from_plain, to_plain

POLICY = Policy(
    grants=(
        Grant("read", "/a\udcff", "--read", "/b", True),
        Grant("read", "/usr", "runtime"),
        Grant("list", "/usr", "runtime"),
    ),
    limits=Limits(cpu=1.5, memory=1 << 40),
    rules=(Rule(event="open", then="alert", origin="p.toml:3"),),
    env=(("A", True), ("B", "c")),
    builtins=("len",),
    given=(("limits.cpu", "--cpu"),),
)  # fmt: skip


def test_a_policy_comes_back_as_it_was() -> None:
    kept = msgspec.msgpack.decode(pack(to_plain(POLICY)))
    assert from_plain(kept) == POLICY


@pytest.mark.parametrize(
    "change",
    [
        {"grants": 3}, {"grants": [[1, 2, 3]]}, {"grants": [["read", "/a", "x", "", "yes"]]},
        {"limits": {"cpu": "fast"}}, {"rules": [["a"] * 40]}, {"settings": {"names": 7}},
        {"runtime": [["/a", 1]]}, {"grants": [["read"]]},
    ],
)  # fmt: skip
def test_what_is_not_a_policy_is_none(change: dict[str, object]) -> None:
    assert from_plain({**to_plain(POLICY), **change}) is None


def test_what_is_no_map_is_none() -> None:
    assert from_plain(None) is None
    assert from_plain([]) is None
    assert from_plain({}) is None


def test_settings_of_a_later_version_are_passed_over() -> None:
    later = to_plain(Policy())
    later["settings"] = {**later["settings"], "unheard-of": 1}  # type: ignore[dict-item]
    assert from_plain(msgspec.msgpack.decode(pack(later))) == Policy()
