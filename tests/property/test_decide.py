"""Properties of `decide` over any policy and any event."""

from __future__ import annotations

import shlex
import time

from hypothesis import assume, given
from hypothesis import strategies as st

from belljar.events.catalogue import ROWS
from belljar.events.targets import BigInt, Cut, TypeName, resolve, targets
from belljar.model import RIGHTS, Decision, Event, Grant, Policy, Rule
from belljar.policy import decide, from_flags

PATHS = st.sampled_from(
    ["/data", "/data/x", "/data/x/y", "/database", "/dat", "/", "/data/../etc", "/data/.", "/etc",
     "/data/x=/y", "/proc/1", "//data", "/data//x", "relative", "../data", "-x", "~", "/a b'c", ""]
) | st.text("/.da=\0'é\udcff", max_size=12)  # fmt: skip
HOSTS = st.sampled_from(
    ["127.0.0.1", "10.0.0.1", "10.0.0.0/8", "::1", "::ffff:10.0.0.1", "h.example", "H.example.",
     "localhost", "", "127.1", "999.1.1.1", "a b", "fe80::1%eth0"]
)  # fmt: skip
ADDRESSES = st.tuples(HOSTS, st.integers(0, 70000)).map(
    lambda pair: f"[{pair[0]}]:{pair[1]}" if ":" in pair[0] else f"{pair[0]}:{pair[1]}"
)
MODULES = st.sampled_from(
    ["ctypes", "_ctypes", "CTYPES", "json", "numpy.core", "xml.sax", "a-b.c", "."]
)
TARGETS = (
    PATHS
    | st.tuples(st.sampled_from(["", "tcp:", "udp:"]), ADDRESSES).map("".join)
    | MODULES
    | st.sampled_from(["git", "/usr/bin/git", "unix:/run/x", "unix:@x", "cffi"])
    | st.text(max_size=20)
)
ORIGINS = st.sampled_from(["--read", "policy.toml:7", "runtime", "default", ""])
RIGHT = st.sampled_from(RIGHTS)
SOURCES = st.sampled_from(["", "/host/a", "/host/b=/c"])
grants = st.builds(Grant, RIGHT, TARGETS, ORIGINS, SOURCES, st.booleans())
globs = st.sampled_from(["*", "open", "os.*", "*/x", "?", "re*", ""]) | st.text("*?ax/", max_size=8)
rules = st.builds(
    Rule, globs, globs, globs, st.sampled_from(["record", "alert", "deny", "kill", "?"]), ORIGINS
)
policies = st.builds(
    Policy,
    grants=st.lists(grants, max_size=6).map(tuple),
    block=st.lists(MODULES, max_size=2).map(tuple),
    extensions=st.sampled_from(["stdlib", "named", "all"]),
    net_info=st.booleans(),
    names=st.sampled_from(["auto", "hidden", "visible"]),
    rules=st.lists(rules, max_size=3).map(tuple),
)
values = (
    TARGETS | st.none() | st.integers(-2, 1 << 20) | st.binary(max_size=5) | st.booleans()
    | st.tuples(HOSTS, st.integers(0, 65535)) | st.builds(TypeName, st.text(max_size=5))
    | st.builds(Cut, PATHS, st.integers(0, 9999)) | st.builds(BigInt, st.integers())
)  # fmt: skip
arguments = st.lists(values, max_size=5).map(tuple)
names = st.sampled_from([row[0] for row in ROWS]) | st.text(max_size=9)


def resolved(name: str, args: tuple[object, ...], cwd: str | None) -> Event:
    right, target, asked = resolve(name, args, cwd)[0]
    return Event(1, 0, 1, 1, name, args, right, target, asked, (), cwd)


honest = st.builds(resolved, names, arguments, st.none() | st.just("/data"))
forged = st.builds(
    Event, st.just(1), st.just(0), st.just(1), st.just(1), names, arguments,
    st.none() | RIGHT | st.text(max_size=5), st.none() | TARGETS, st.none() | TARGETS,
    st.just(()), st.none() | PATHS,
)  # fmt: skip
events = honest | forged


@given(policies, events)
def test_every_event_has_one_decision_and_always_the_same(policy: Policy, event: Event) -> None:
    decision = decide(policy, event)
    assert isinstance(decision, Decision)
    assert decision.verdict in ("allow", "deny", "none")
    assert decision.because
    assert decision == decide(policy, event)
    if decision.verdict != "deny":
        assert decision.remedy == ""


@given(policies, grants, events)
def test_a_further_grant_never_forbids(policy: Policy, grant: Grant, event: Event) -> None:
    order = ("deny", "none", "allow")
    more = policy.replace(grants=(*policy.grants, grant))
    before, after = decide(policy, event).verdict, decide(more, event).verdict
    assert before != "allow" or after == "allow"
    if before == "none":
        assert order.index(after) >= order.index(before)


@given(policies, st.integers(0, 5), events)
def test_a_grant_less_never_allows(policy: Policy, index: int, event: Event) -> None:
    assume(index < len(policy.grants))
    fewer = policy.replace(grants=policy.grants[:index] + policy.grants[index + 1 :])
    if decide(policy, event).verdict == "deny":
        assert decide(fewer, event).verdict == "deny"


@given(policies, MODULES, events)
def test_a_further_block_never_allows(policy: Policy, module: str, event: Event) -> None:
    more = policy.replace(block=(*policy.block, module))
    if decide(policy, event).verdict == "deny":
        assert decide(more, event).verdict == "deny"


@given(policies, events)
def test_without_grants_no_path_address_or_program_is_allowed(policy: Policy, event: Event) -> None:
    bare = policy.replace(grants=())
    if event.right in ("read", "list", "write", "append", "execute", "run", "connect", "bind"):
        assert decide(bare, event).verdict != "allow"


WORDS = st.sampled_from(["a", "b", "data", "database", ".."])


@given(st.lists(WORDS, min_size=1, max_size=5), st.lists(WORDS, max_size=6))
def test_only_what_lies_beneath_a_grant_is_covered(granted: list[str], asked: list[str]) -> None:
    granted = [word for word in granted if word != ".."] or ["data"]
    policy = Policy(grants=(Grant("read", "/" + "/".join(granted), "--read"),))
    path = "/" + "/".join([*granted, *asked])
    real: list[str] = []
    for word in [*granted, *asked]:
        if word == "..":
            del real[-1:]
        else:
            real.append(word)
    event = Event(1, 0, 1, 1, "open", (path, "r", 0), "read", path)
    allowed = decide(policy, event).verdict == "allow"
    assert allowed == (real[: len(granted)] == granted)


@given(st.text("abc.", min_size=1, max_size=4), st.text("abc.=-_ ", min_size=1, max_size=4))
def test_a_longer_name_is_never_covered_by_its_beginning(name: str, more: str) -> None:
    assume(name not in (".", "..") and "/" not in more)
    policy = Policy(grants=(Grant("read", f"/srv/{name}", "--read"),))
    path = f"/srv/{name}{more}"
    assume(f"{name}{more}" not in (".", ".."))
    event = Event(1, 0, 1, 1, "open", (path, "r", 0), "read", path)
    assert decide(policy, event).verdict == "deny"


@given(policies, honest)
def test_who_follows_the_remedies_is_allowed_in_the_end(policy: Policy, event: Event) -> None:
    policy = policy.replace(rules=())
    for _ in targets(event):
        decision = decide(policy, event)
        if not decision.remedy:
            return
        flag, value = shlex.split(decision.remedy)
        policy = from_flags(policy, [(flag, value)], "/elsewhere")
        given = policy.grants[-1]
        assert given.target == event.target or len(targets(event)) > 1 or given.right == "connect"
    assert decide(policy, event).verdict != "deny"


@given(policies, honest)
def test_a_remedy_is_never_offered_against_a_rule_or_a_block(policy: Policy, event: Event) -> None:
    decision = decide(policy, event)
    if decision.rule is not None and decision.rule.then in ("deny", "kill"):
        assert (decision.verdict, decision.remedy) == ("deny", "")
    if "blocked" in decision.because:
        assert decision.remedy == ""


def test_a_decision_takes_microseconds() -> None:
    grants = tuple(Grant("read", f"/usr/lib/part{i}", "runtime") for i in range(20))
    policy = Policy(grants=(*grants, Grant("read", "/srv/data", "--read")))
    event = Event(1, 0, 1, 1, "open", ("/etc/passwd", "r", 0), "read", "/etc/passwd")
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(100):
            decide(policy, event)
        best = min(best, (time.perf_counter() - start) / 100)
    assert best < 100e-6  # 12 µs on the machine where it was written
