"""The receipt from simulated facts: levels by tier, and what refuses to start."""

from __future__ import annotations

import pytest

from belljar.confine.probe import Facts
from belljar.confine.status import MUST_BE_FULL, NAMES, enforce, status
from belljar.errors import PolicyError, Unenforceable
from belljar.model import Grant, Limits, Policy, Protection, Rule, Status

TRIED = (
    "read", "write", "create", "delete", "list", "chmod", "tcp", "udp", "unix", "netlink", "fork",
    "exec", "signal", "privileges", "ptrace", "namespace", "memfd", "memory", "descriptors",
    "native", "name", "threads", "cpu", "filesize", "disk",
)  # fmt: skip
FULL = {"files", "network", "processes", "syscalls", "wall", "output", "open-files"}


def facts(tier: str = "user", *through: str, ended_ms: int = 3) -> Facts:
    """Everything refused but what got `through`."""
    tried = {name: (0, 0 if name in through else 13) for name in TRIED}
    return Facts(tier, 6, tried, (), ended_ms)


def levels(policy: Policy, seen: Facts) -> dict[str, str]:
    return {row.name: row.level for row in status(policy, seen).protections}


@pytest.mark.parametrize("tier", ["root", "user"])
def test_with_namespaces_these_are_full_and_no_others(tier: str) -> None:
    found = levels(Policy(), facts(tier))
    more = {"threads", "extensions", "net-info", "names"}
    assert {n for n, level in found.items() if level == "full"} == FULL | more


def test_without_namespaces_names_threads_and_extensions_are_open() -> None:
    found = levels(Policy(), facts("landlock"))
    assert {n for n, level in found.items() if level == "full"} == FULL
    assert [found[n] for n in ("names", "threads", "extensions")] == ["none"] * 3


@pytest.mark.parametrize("tier", ["root", "user", "landlock"])
def test_every_protection_has_one_row_and_a_known_name(tier: str) -> None:
    rows = [row.name for row in status(Policy(), facts(tier)).protections]
    assert len(rows) == len(set(rows))
    assert set(rows) | {"block", "builtins", "connections", "rules", "overlay"} == set(NAMES)


def test_rules_that_refuse_are_a_window_in_the_receipt() -> None:
    for then in ("deny", "kill"):
        receipt = status(Policy(rules=(Rule(then=then),)), facts("user"))
        (row,) = (row for row in receipt.protections if row.name == "rules")
        assert (row.level, row.by) == ("none", "audit hook (a window)")
        with pytest.raises(Unenforceable):
            enforce(Policy(rules=(Rule(then=then),), require=("rules",)), receipt)
    assert "rules" not in levels(Policy(rules=(Rule(then="alert"),)), facts("user"))


def test_the_receipt_says_what_waits_for_the_record() -> None:
    def by(policy: Policy) -> str:
        return next(r.by for r in status(policy, facts("user")).protections if r.name == "record")

    assert by(Policy()).endswith("; run, connect, native wait until the ledger has them")
    assert by(Policy(must_log=("bind",))).endswith("; bind wait until the ledger has them")
    assert "wait" not in by(Policy(must_log=()))
    assert by(Policy(ledger="none")).endswith("; nothing is kept")


@pytest.mark.parametrize(
    ("through", "protection"),
    [
        *((name, "files") for name in ("read", "write", "create", "delete", "list", "chmod")),
        *((name, "network") for name in ("tcp", "udp", "unix", "netlink")),
        *((name, "processes") for name in ("fork", "exec", "signal")),
        *((name, "syscalls") for name in ("privileges", "ptrace", "namespace")),
    ],
)
@pytest.mark.parametrize("tier", ["root", "user", "landlock"])
def test_what_the_probe_got_through_is_none_and_refuses_to_start(
    tier: str, through: str, protection: str
) -> None:
    receipt = status(Policy(), facts(tier, through))
    assert receipt.level(protection) == "none"
    with pytest.raises(Unenforceable, match=rf"^cannot protect {protection}: only none here"):
        enforce(Policy(), receipt)
    enforce(Policy(accept_partial=(protection,)), receipt)


@pytest.mark.parametrize("missing", ["read", "tcp", "fork", "ptrace"])
def test_what_the_probe_did_not_try_is_not_protected(missing: str) -> None:
    seen = facts()
    tried = {name: pair for name, pair in seen.tried.items() if name != missing}
    with pytest.raises(Unenforceable):
        enforce(Policy(), status(Policy(), seen.replace(tried=tried)))


@pytest.mark.parametrize(
    ("through", "protection", "level"),
    [
        ("memory", "memory", "none"), ("descriptors", "open-files", "none"),
        ("native", "extensions", "none"), ("name", "names", "none"),
    ],
)  # fmt: skip
def test_what_may_be_less_than_full_starts_and_is_told(
    through: str, protection: str, level: str
) -> None:
    receipt = status(Policy(), facts("user", through))
    assert receipt.level(protection) == level
    enforce(Policy(), receipt)


def test_a_guest_that_cannot_be_ended_is_refused() -> None:
    with pytest.raises(Unenforceable, match=r"^cannot protect wall:"):
        enforce(Policy(), status(Policy(), facts(ended_ms=-1)))


@pytest.mark.parametrize("tier", ["root", "user", "landlock"])
def test_the_defaults_start_in_every_tier(tier: str) -> None:
    enforce(Policy(), status(Policy(), facts(tier)))


def test_output_that_is_not_captured_must_be_accepted() -> None:
    policy = Policy(stdout="inherit", stderr="inherit")
    receipt = status(policy, facts())
    assert receipt.level("output") == "partial"
    with pytest.raises(Unenforceable, match=r"stdout and stderr not captured.*--accept-partial"):
        enforce(policy, receipt)
    enforce(policy.replace(accept_partial=("output",)), receipt)
    assert status(Policy(stdout="/log", stderr="/log"), facts()).level("output") == "full"


@pytest.mark.parametrize("name", MUST_BE_FULL)
@pytest.mark.parametrize("level", ["partial", "none"])
def test_these_are_full_or_nothing_starts(name: str, level: str) -> None:
    receipt = Status("user", (Protection(name, level, "a wall", "a cause"),))
    with pytest.raises(Unenforceable) as caught:
        enforce(Policy(), receipt)
    assert str(caught.value) == (
        f"cannot protect {name}: only {level} here: a cause; fix the cause, or accept it with "
        f"--accept-partial {name}"
    )
    enforce(Policy(accept_partial=(name,)), receipt)


def test_accepting_one_protection_accepts_no_other() -> None:
    rows = (Protection("files", "none", ""), Protection("network", "none", "x"))
    with pytest.raises(Unenforceable, match=r"^cannot protect network: only none here: x;"):
        enforce(Policy(accept_partial=("files",)), Status("user", rows))


def test_require_makes_any_protection_full_or_nothing() -> None:
    receipt = status(Policy(), facts())
    for name in ("memory", "disk", "record"):
        with pytest.raises(Unenforceable, match=rf"^cannot protect {name}: required, and only"):
            enforce(Policy(require=(name,)), receipt)
    enforce(Policy(require=("files", "threads")), receipt)


def test_names_are_hidden_by_an_image_of_the_runtime_and_asked_for_refused_without() -> None:
    seen = facts("user")
    assert status(Policy(), seen).level("names") == "full"
    kept = status(Policy(), seen, shown="there is no cache")
    row = next(row for row in kept.protections if row.name == "names")
    assert (row.level, row.reason) == (
        "partial", "the runtime keeps the host's paths: there is no cache"
    )  # fmt: skip
    enforce(Policy(), kept)
    assert status(Policy(names="visible"), seen).level("names") == "none"
    for policy in (Policy(names="hidden"), Policy(require=("names",))):
        enforce(policy, status(policy, seen))
        for receipt in (kept, status(policy, facts("landlock"))):
            with pytest.raises(Unenforceable, match=r"^cannot protect names: (required|to be hid)"):
                enforce(policy, receipt)


@pytest.mark.parametrize("key", ["require", "accept_partial"])
def test_a_protection_that_does_not_exist_is_a_mistake_of_the_policy(key: str) -> None:
    dotted = "enforce." + key.replace("_", "-")
    policy = Policy(given=((dotted, "policy.toml:8"),)).replace(**{key: ("fils",)})
    with pytest.raises(PolicyError, match=r"^policy\.toml:8: no protection is called 'fils'"):
        enforce(policy, status(Policy(), facts()))


def test_granted_connections_are_full_on_every_tier() -> None:
    policy = Policy(grants=(Grant("connect", "tcp:1.2.3.4:5", "--connect"),))
    assert levels(policy, facts("user"))["network"] == "full"
    assert levels(policy, facts("user"))["connections"] == "full"
    assert levels(policy, facts("landlock"))["network"] == "full"
    assert "connections" not in levels(Policy(), facts())


def test_what_a_guest_is_told_of_the_network() -> None:
    granted = Policy(grants=(Grant("connect", "tcp:1.2.3.4:5", "--connect"),))
    assert levels(Policy(), facts("user"))["net-info"] == "full"
    assert levels(granted, facts("user"))["net-info"] == "partial"
    assert levels(Policy(), facts("landlock"))["net-info"] == "partial"
    assert levels(Policy(net_info=True), facts("user"))["net-info"] == "none"


@pytest.mark.parametrize(
    "policy",
    [
        Policy(limits=Limits(processes=2)),
        Policy(grants=(Grant("run", "/bin/true", "--run"),)),
    ],
)
def test_more_than_one_process_needs_a_pid_namespace(policy: Policy) -> None:
    assert levels(policy, facts("user"))["processes"] == "partial"
    assert levels(policy, facts("landlock"))["processes"] == "none"


@pytest.mark.parametrize(
    "policy",
    [
        Policy(limits=Limits(processes=2)),
        Policy(grants=(Grant("run", "/bin/true", "--run"),)),
    ],
)
def test_the_number_of_several_processes_is_partial_and_starts_unless_required(
    policy: Policy,
) -> None:
    receipt = status(policy, facts())
    enforce(policy, receipt)
    with pytest.raises(Unenforceable, match=r"processes.*only the sum with threads is bounded"):
        enforce(policy.replace(require=("processes",)), receipt)
    got_through = Status("user", (Protection("processes", "none", "", "a cause"),))
    with pytest.raises(Unenforceable, match=r"only none here: a cause"):
        enforce(policy, got_through)


def test_threads_are_partial_where_processes_are_counted_with_them() -> None:
    assert levels(Policy(limits=Limits(processes=2)), facts())["threads"] == "partial"


def test_what_the_policy_gives_away_is_none() -> None:
    policy = Policy(names="visible", extensions="all")
    found = levels(policy, facts())
    assert (found["names"], found["extensions"]) == ("none", "none")


def test_the_receipt_tells_the_tier_and_why_no_better_one() -> None:
    seen = facts("landlock").replace(why=("user: refused", "x: y"))
    receipt = status(Policy(), seen)
    assert (receipt.tier, receipt.probed) == ("landlock", "user: refused; x: y")
    assert "Landlock ABI 6" in next(r.by for r in receipt.protections if r.name == "files")


@pytest.mark.parametrize(("name", "level"), [("numpy", "partial"), ("ctypes", "full")])
def test_a_distribution_may_bring_ctypes_and_the_receipt_says_so(name: str, level: str) -> None:
    policy = Policy(grants=(Grant("import", name, "--import"),))
    assert levels(policy, facts())["extensions"] == level


def test_an_unsafe_module_without_a_file_is_held_back_by_a_window_alone() -> None:
    receipt = status(Policy(), facts("user"), ("_ctypes",))
    (row,) = (row for row in receipt.protections if row.name == "extensions")
    assert (row.level, row.reason.partition(" ")[0]) == ("partial", "_ctypes")


def test_what_python_alone_holds_back_is_never_called_enforced() -> None:
    policy = Policy(block=("xml",), builtins="safe")
    assert levels(policy, facts("user"))["block"] == "partial"
    assert levels(policy, facts("landlock"))["block"] == "none"
    for tier in ("root", "user", "landlock"):
        found = levels(policy, facts(tier))
        assert [found[n] for n in ("builtins", "bytecode", "os-info")] == ["none"] * 3
        assert "builtins" not in levels(Policy(), facts(tier))
