"""Which rule fires for an event: pure, total, and as quick for a thousand rules as for one."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.events.targets import Code, resolve
from belljar.model import Event, Frame, Rule
from belljar.policy.glob import Globs, compiled, matches
from belljar.policy.possible import names_needing, rights_of
from belljar.policy.rules import NOTHING, Past, Rules

HOME = Frame("/home/a/job.py", 3, "load")


def event(name: str, *args: object, cwd: str | None = "/w", **more: object) -> Event:
    right, target, asked = resolve(name, args, cwd)[0]
    return Event(1, 0, 7, 7, name, args, right, target, asked, (HOME,), cwd).replace(**more)


def fires(rule: Rule, one: Event, past: Past = NOTHING) -> bool:
    return Rules([rule]).judge(one, past) is rule


patterns = st.text("ab*?/", max_size=8)


@given(patterns, st.text("ab/c", max_size=12))
def test_a_compiled_pattern_says_what_the_slow_one_says(pattern: str, text: str) -> None:
    assert compiled(pattern)(text) == matches(pattern, text)


def test_several_patterns_mean_any_of_them_and_none_of_the_excluded() -> None:
    both = Globs(("a*", "b", "!ab*"))
    assert [both.match(text) for text in ("a", "b", "abc", "c", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert Globs("!x").match("y")
    assert not Globs("!x").match("x")
    assert Globs(("a", "!b")).match_some(["a", "c"])
    assert not Globs(("a", "!b")).match_some(["a", "b"])
    assert not Globs("?*").match_some([])
    assert Globs("*").match_some([])


@pytest.mark.parametrize(
    ("rule", "one"),
    [
        (Rule("open"), event("open", "x", "r", 0)),
        (Rule(("os.system", "op*")), event("open", "x", "r", 0)),
        (Rule(right="re?d", target="/w/*"), event("open", "x", "r", 0)),
        (Rule(right="read", target="*/x"), event("open", "x", "r+", 2)),
        (Rule(right="write", target="*/a"), event("os.rename", "a", "b", -1, -1)),
        (Rule(right="native", target="/tmp/*"), event("import", "x", "/tmp/x.so")),
        (Rule(right="connect", target="10.*:80"), event("socket.connect", None, ("10.0.0.1", 80))),
        (Rule("shop.*"), event("shop.refund", 5)),
        (Rule("exec", "<*"), event("exec", Code("<string>", "<module>", 1))),
        (Rule("open", "*/link"), event("open", "/w/link", "r", 0, target="/etc/passwd")),
        (Rule("open", "mem"), event("open", "mem", None, 2, cwd=None)),
        (Rule("open", stack="*/job.py:load"), event("open", "x", "r", 0)),
        (Rule("open", package="pip"), event("open", "x", "r", 0, package="pip 23.2.1")),
        (Rule("open", package="PIP 23.*"), event("open", "x", "r", 0, package="pip 23.2.1")),
        (Rule("open", package="my_lib"), event("open", "x", "r", 0, package="My-Lib 1")),
        (Rule("open", package="the program"), event("open", "x", "r", 0, package="")),
        (Rule("open", package="!pip"), event("open", "x", "r", 0, package="standard library")),
        (Rule(shadows="r*"), event("import", "random", "/w/random.so")),
    ],
)
def test_a_rule_fires_where_all_of_its_patterns_match(rule: Rule, one: Event) -> None:
    assert fires(rule, one)
    assert Rules([rule]).wants(one.name)


@pytest.mark.parametrize(
    ("rule", "one"),
    [
        (Rule("open", "/w/*"), event("open", "/v/x", "r", 0)),
        (Rule(right="write"), event("open", "x", "r", 0)),
        (Rule("open", ("/w/*", "!*.pub")), event("open", "x.pub", "r", 0)),
        (Rule(right="connect", target="!unix:*"), event("socket.connect", None, "/run/x")),
        (Rule("open", stack="*:main"), event("open", "x", "r", 0)),
        (Rule("open", stack="!*/job.py:*"), event("open", "x", "r", 0)),
        (Rule("open", stack="?*"), event("open", "x", "r", 0, stack=())),
        (Rule("open", package="pip"), event("open", "x", "r", 0)),
        (Rule("open", package="pip"), event("open", "x", "r", 0, package="pipx 1")),
        (Rule(shadows="*"), event("import", "random", "/usr/lib/python3.11/lib-dynload/random.so")),
        (Rule(shadows="*"), event("import", "shop.random", "/w/shop/random.so")),
        (Rule("exec", after=Rule(right="connect")), event("exec", Code("<x>", "", 1))),
    ],
)
def test_and_nowhere_else(rule: Rule, one: Event) -> None:
    assert not fires(rule, one)


def test_of_several_the_strictest_counts_and_of_equals_the_first() -> None:
    rules = [Rule(then=then, origin=str(i)) for i, then in enumerate(("record", "deny", "alert"))]
    twice = Rules([*rules, Rule(then="deny", origin="later")])
    assert twice.judge(event("open", "x", "r", 0)) == rules[1]
    assert Rules([*rules, Rule(then="kill")]).judge(event("x.y")) == Rule(then="kill")


def test_what_came_before_counts_where_a_rule_says_after() -> None:
    connected = Rule(right="connect", target="!unix:*")
    rules = Rules([Rule("exec", "<*", after=connected), Rule("open", after=connected)])
    assert rules.afters == (connected,)
    made = event("exec", Code("<string>", "<module>", 1))
    assert rules.look(made, NOTHING) == (None, (), True)
    fired, marks, _ = rules.look(event("socket.connect", None, ("::1", 80)), NOTHING)
    assert (fired, marks) == (None, (0,))
    assert rules.look(event("socket.connect", None, "/run/x"), NOTHING) == (None, (), False)
    assert rules.judge(made, Past(frozenset(marks))) is not None
    assert rules.wants("socket.connect")
    assert rules.before() == names_needing(["connect"])


@pytest.mark.parametrize(
    ("file", "importing", "expected"),
    [
        ("/w/random.py", "random", True),
        ("/w/json/__init__.py", "json", True),
        ("/venv/lib/python3.11/site-packages/random.py", "random", True),
        ("/w/random.py", "shop.random", False),
        ("/w/random.py", "", False),
        ("/usr/lib/python3.11/random.py", "random", False),
        ("/opt/lib64/python3.12/json/__init__.py", "json", False),
        ("/w/mine.py", "mine", False),
        ("<frozen random>", "random", False),
    ],
)
def test_a_file_shadows_when_it_is_imported_as_a_standard_module(
    file: str, importing: str, expected: bool
) -> None:
    past = Past(importing=importing)
    assert fires(Rule("exec", shadows="*"), event("exec", Code(file, "<module>", 1)), past) == (
        expected
    )


def test_rules_name_the_events_that_they_need() -> None:
    assert Rules([Rule("os.system", then="deny")]).asks() == ("os.system",)
    assert Rules([Rule("os.s?stem", then="alert")]).asks() == ()
    assert Rules([Rule(right="bind", then="kill")]).asks() == ("socket.bind",)
    assert "shop.*" in Rules([Rule("shop.*", then="deny")]).asks()
    assert "a*c.d" in Rules([Rule("a?c.d", then="deny")]).asks()
    assert "*" in Rules([Rule(then="deny")]).asks()
    assert "*" not in Rules([Rule(target="/x", then="deny")]).asks()
    native = Rules([Rule(right="native", target="/tmp/*", then="deny")])
    assert "import/native" in native.asks()
    assert "import" not in native.asks()
    assert "import" in Rules([*native.rules, Rule("import", then="kill")]).asks()
    assert names_needing(["native"]).count("import/native") == 1
    assert "import" in names_needing(["native", "import"])
    assert rights_of("open") == ("read", "write", "append", "list")


def test_a_glance_misses_nothing_that_a_rule_fires_for() -> None:
    rules = Rules([
        Rule("open", ("*/.ssh/*", "/etc/shadow*", "*/Login Data"), then="alert"),
        Rule(right="read", target="*/.aws/credentials", then="alert"),
    ])  # fmt: skip
    glance = rules.glance("open")
    assert glance is not None
    for path in ("/a/.ssh/b", "/etc/shadow-", "/x/Login Data", "/h/.aws/credentials"):
        assert rules.judge(event("open", path, "r", 0)) is not None
        assert glance(path.encode())
    assert not glance(b"/usr/lib/python3.11/os.py")
    for blind in (Rule("open"), Rule("open", "*"), Rule("open", "*a*"), Rule("open", "!/x")):
        assert Rules([blind]).glance("open") is None
    assert Rules([Rule("socket.connect", "*:80")]).glance("socket.connect") is None


def test_no_event_makes_it_raise() -> None:
    dice = random.Random(5)
    values = (None, 1, "x", b"\xff", (), ("a", 1), Code("f", "g", 1), 1.5, "\udcff", "")
    rules = Rules([
        Rule(target="*x*", stack="*", package="*a*", then="deny"),
        Rule(shadows="*", after=Rule(right="connect")),
        Rule(("o*", "!open"), right=("read", "!write")),
    ])  # fmt: skip
    for name in ("open", "exec", "import", "os.rename", "socket.connect", "x", "shop.refund", ""):
        for _ in range(50):
            args = tuple(dice.choice(values) for _ in range(dice.randrange(5)))
            one = Event(1, 0, 1, 1, name, args, asked=dice.choice((None, "/a", "x")))
            rules.look(one, NOTHING)


def test_a_hostile_target_does_not_make_a_rule_slow() -> None:
    rules = Rules([Rule("open", "*a" * 40 + "b", then="deny")])
    began = time.process_time()
    assert rules.judge(event("open", "/" + "a" * 4000, "r", 0)) is None
    assert time.process_time() - began < 0.5


def test_a_thousand_rules_cost_what_one_costs_for_names_that_they_do_not_concern() -> None:
    """Not by the clock: what is looked at is counted."""
    asked = 0

    class Counting(str):
        __slots__ = ()

        def startswith(self, *args: object) -> bool:
            nonlocal asked
            asked += 1
            return str.startswith(self, *args)  # type: ignore[arg-type]

    rules = Rules([Rule(f"shop.event{i}.*", then="deny") for i in range(1000)])
    assert rules.judge(event("shop.another-event")) is None
    assert rules.judge(event("shop.event7.x")) is not None
    for _ in range(100):
        assert not rules.wants(Counting("shop.another-event"))
    assert asked == 0


def test_names_that_a_guest_invents_are_not_all_remembered() -> None:
    rules = Rules([Rule("shop.*", then="deny")])
    for number in range(6000):
        assert rules.wants(f"shop.{number}")
        assert not rules.wants(f"shoq.{number}")
    assert len(rules._known) <= 4096
