"""What is left of a policy when a second one may only take away."""

from __future__ import annotations

import pytest

from belljar.model import Grant, Limits, Policy, Rule
from belljar.policy.narrowing import narrow


def grants(*pairs: str, source: str = "") -> Policy:
    return Policy(grants=tuple(Grant(*pair.split(" ", 1), "here", source) for pair in pairs))


def left(outer: Policy, asked: Policy) -> list[str]:
    return [f"{g.right} {g.target}" for g in narrow(outer, asked).policy.grants]


@pytest.mark.parametrize(
    ("has", "wants", "gets"),
    [
        ("read /a", "read /a/b", "read /a/b"),
        ("read /a/b", "read /a", "read /a/b"),
        ("read /a", "read /", "read /a"),
        ("read /", "read /a", "read /a"),
        ("read /a", "read /ab", ""),
        ("read /a", "write /a", ""),
        ("write /a", "append /a/log", "append /a/log"),
        ("append /a", "write /a", "append /a"),
        ("read /a", "list /a", "list /a"),
        ("list /a", "read /a", "list /a"),
        ("connect tcp:10.0.0.0/8:443", "connect tcp:10.1.2.3:443", "connect tcp:10.1.2.3:443"),
        ("connect tcp:10.1.2.3:443", "connect tcp:10.0.0.0/8:*", "connect tcp:10.1.2.3:443"),
        ("connect tcp:10.0.0.0/8:443", "connect tcp:10.1.2.3:80", ""),
        ("connect tcp:10.0.0.0/8:443", "connect udp:10.1.2.3:443", ""),
        ("connect tcp:h.example:443", "connect tcp:h.example:443", "connect tcp:h.example:443"),
        ("connect tcp:h.example:443", "connect tcp:g.example:443", ""),
        ("connect tcp:10.0.0.0/16:443", "connect tcp:10.0.0.0/24:*", ""),  # no one grant says it
        ("connect unix:/run/a", "connect unix:/run/a", "connect unix:/run/a"),
        ("connect unix:/run", "connect unix:/run/a", ""),
        ("bind tcp:0.0.0.0/0:80", "connect tcp:127.0.0.1:80", ""),
        ("import NumPy", "import numpy", "import numpy"),
        ("import numpy", "import pandas", ""),
        ("run /bin/ls", "run /bin/ls", "run /bin/ls"),
        ("run /bin", "run /bin/ls", ""),
    ],
)
def test_a_grant_is_what_both_give(has: str, wants: str, gets: str) -> None:
    assert left(grants(has), grants(wants)) == ([gets] if gets else [])
    assert len(narrow(grants(has), grants(wants)).cut) == (not gets)


def test_names_are_those_of_who_asks_and_sources_stay_the_hosts() -> None:
    outer = grants("read /in", source="/srv/data")
    asked = Policy(grants=(Grant("read", "/mine", "guest", "/in/x"), Grant("read", "/", "guest")))
    found = narrow(outer, asked).policy.grants
    assert [(g.target, g.source) for g in found] == [("/mine", "/srv/data/x"), ("/in", "/srv/data")]
    # a source is never taken for a path of the host's
    sly = Policy(grants=(Grant("read", "/in", "guest", "/srv/data"),))
    assert narrow(outer, sly).policy.grants == ()


def test_numbers_switches_and_orders_only_go_down() -> None:
    outer = Policy(limits=Limits(memory=1 << 28, cpu=5.0), net_info=True, extensions="named")
    asked = Policy(limits=Limits(memory=1 << 30, cpu=1.0), os_info=True, extensions="all")
    asked = asked.replace(given=(("limits.memory", "guest"),))
    found = narrow(outer, asked)
    assert (found.policy.limits.memory, found.policy.limits.cpu) == (1 << 28, 1.0)
    assert (found.policy.net_info, found.policy.os_info) == (False, False)
    assert found.policy.extensions == "named"
    assert found.cut == ("memory: the limit is 268435456", "os-info: not granted")


def test_blocks_rules_and_requirements_add_up_and_the_record_stays() -> None:
    rule = Rule("open", then="deny")
    outer = Policy(block=("json",), ledger="/var/l", rules=(rule,), accept_partial=("memory",))
    asked = Policy(block=("csv",), ledger="none", require=("names",), accept_partial=("files",))
    found = narrow(outer, asked).policy
    assert found.block == ("json", "csv")
    assert (found.ledger, found.rules, found.require) == ("/var/l", (rule,), ("names",))
    assert found.accept_partial == ("memory",)


def test_streams_environment_and_builtins() -> None:
    outer = Policy(stdout="inherit", stderr="/log", env=(("TZ", True), ("A", "1")), builtins="safe")
    asked = Policy(
        stdout="inherit", stderr="inherit", env=(("TZ", True), ("HOME", True), ("B", "2")),
        builtins=("len",),
    )  # fmt: skip
    found = narrow(outer, asked).policy
    assert (found.stdout, found.stderr, found.stdin) == ("inherit", "capture", "null")
    assert found.env == (("TZ", True), ("B", "2"))
    assert found.builtins == ()
    assert narrow(outer, Policy(builtins="bare")).policy.builtins == "bare"
    assert narrow(outer, Policy(builtins="all")).policy.builtins == "safe"
    both = narrow(Policy(builtins=("len", "int")), Policy(builtins=("int", "open"))).policy
    assert both.builtins == ("int",)


def test_an_empty_list_of_peers_means_everybody_so_it_is_not_what_is_left() -> None:
    outer = Policy(accept_from=("10.0.0.0/8",))
    assert narrow(outer, Policy()).policy.accept_from == ("10.0.0.0/8",)
    assert narrow(outer, Policy(accept_from=("10.1.0.0/16",))).policy.accept_from == (
        "10.1.0.0/16",
    )
    nobody = narrow(outer, Policy(accept_from=("192.0.2.0/24",))).policy.accept_from
    assert nobody == ("0.0.0.0/32",)
