"""Decisions, case by case: verdict, reason, nearest grant and remedy."""

from __future__ import annotations

import pytest

from belljar.events.targets import TypeName, resolve
from belljar.model import Decision, Event, Grant, Policy, Rule
from belljar.policy import decide, from_flags
from belljar.policy.deciding import quote
from belljar.policy.glob import matches
from belljar.policy.modules import UNSAFE_MODULES, normal, within


def event(name: str, *args: object, cwd: str | None = "/w") -> Event:
    right, target, asked = resolve(name, args, cwd)[0]
    return Event(1, 0, 1, 1, name, args, right, target, asked, (), cwd)


def policy(*flags: str) -> Policy:
    pairs = [tuple(flag.split(" ", 1)) for flag in flags]
    return from_flags(Policy(), [(a, b) for a, b in pairs], "/w")


def verdict(flags: tuple[str, ...], name: str, *args: object) -> tuple[str, str]:
    decision = decide(policy(*flags), event(name, *args))
    return decision.verdict, decision.remedy


S = TypeName("socket")
CASES = [
    # flags, event, verdict, remedy
    ((), ("open", "/etc/passwd", "r", 0), "deny", "--read /etc/passwd"),
    ((), ("open", "it's", "w", 0), "deny", """--write '/w/it'"'"'s'"""),
    ((), ("open", "/a=/b", "r", 0), "deny", "--read //a=/b"),
    ((), ("open", "/proc/self/mem", "r", 0), "deny", ""),
    ((), ("os.listdir", "/"), "deny", ""),
    (("read data",), ("open", "data/x", "r", 0), "allow", ""),
    (("read data",), ("open", "data/../x", "r", 0), "deny", "--read /w/x"),
    (("read data",), ("open", "database", "r", 0), "deny", "--read /w/database"),
    (("read data",), ("os.listdir", "data"), "allow", ""),
    (("read data",), ("open", "data/x", "w", 0), "deny", "--write /w/data/x"),
    (("write data",), ("open", "data/x", "r", 0), "deny", "--read /w/data/x"),
    (("write data",), ("open", "data/x", "a", 0), "allow", ""),
    (("write data",), ("open", "data/x", "r+", 2), "deny", "--read /w/data/x"),
    (("write data", "read data"), ("open", "data/x", "r+", 2), "allow", ""),
    (("append data",), ("open", "data/x", "a", 0), "allow", ""),
    (("append data",), ("open", "data/x", "w", 0), "none", ""),  # it may not be there yet
    (("append data",), ("open", "data/x", "w+", 0), "deny", "--read /w/data/x"),
    (("append data",), ("os.remove", "data/x", -1), "deny", "--write /w/data/x"),
    (("write data",), ("os.rename", "data/a", "data/b", -1, -1), "allow", ""),
    (("write data",), ("os.rename", "a", "data/b", -1, -1), "deny", "--write /w/a"),
    (("write data",), ("os.rename", "data/a", "data/b", 3, -1), "none", ""),
    (("write /in=./out",), ("open", "/in/x", "r", 0), "deny", "--read /in/x=/w/out/x"),
    (("write /in=./out",), ("open", "/inner", "r", 0), "deny", "--read /inner"),
    ((), ("open", "mem", None, 2), "none", ""),
    ((), ("open", 3, "r", 0), "none", ""),
    ((), ("socket.connect", S, ("127.0.0.1", 80)), "deny", "--connect 127.0.0.1:80"),
    ((), ("socket.connect", S, ("::1", 80, 0, 0)), "deny", "--connect '[::1]:80'"),
    ((), ("socket.connect", S, ("h.example", 80)), "deny", "--connect h.example:80"),
    ((), ("socket.connect", S, ("a b", 80)), "deny", ""),
    ((), ("socket.connect", S, b"\0x"), "deny", ""),
    ((), ("socket.connect", S, "/run/x"), "deny", "--connect unix:/run/x"),
    ((), ("socket.sendto", S, ("1.1.1.1", 53)), "deny", "--connect udp:1.1.1.1:53"),
    ((), ("socket.bind", S, ("", 0)), "deny", "--bind 0.0.0.0:0"),
    (("connect 10.0.0.0/8:*",), ("socket.connect", S, ("10.9.9.9", 80)), "allow", ""),
    (("connect 10.0.0.0/8:*",), ("socket.bind", S, ("10.9.9.9", 80)), "deny", "--bind 10.9.9.9:80"),
    (("connect h.example:443",), ("socket.getaddrinfo", "H.example.", 443), "allow", ""),
    ((), ("socket.getaddrinfo", "h.example", 443), "deny", "--connect h.example:443"),
    ((), ("socket.getaddrinfo", "h.example", "https"), "deny", "--connect 'h.example:*'"),
    ((), ("socket.getaddrinfo", "127.0.0.1", 443), "allow", ""),
    ((), ("socket.gethostbyname", "localhost"), "allow", ""),
    ((), ("socket.gethostname",), "none", ""),
    (("net-info true",), ("socket.gethostname",), "allow", ""),
    ((), ("os.system", "id"), "deny", "--run /bin/sh"),
    (("run /bin/sh",), ("os.system", "id"), "allow", ""),
    (("run /bin/sh",), ("subprocess.Popen", "sh", (), None, None), "none", ""),
    (("run git",), ("subprocess.Popen", "/usr/bin/git", (), None, None), "none", ""),
    (("run git", "run /bin/git"), ("subprocess.Popen", "/bin/git", (), None, None), "allow", ""),
    (("run /bin/git",), ("subprocess.Popen", "/t/git", (), None, None), "deny", "--run /t/git"),
    (("run git",), ("subprocess.Popen", "sh", (), None, None), "deny", "--run sh"),
    ((), ("os.fork",), "none", ""),
    ((), ("os.kill", 1, 9), "none", ""),
    ((), ("compile", "x", "y"), "none", ""),
    ((), ("import", "json", None, (), (), ()), "allow", ""),
    ((), ("import", "ctypes.util", None, (), (), ()), "deny", "--import ctypes"),
    ((), ("import", "_ctypes", None, (), (), ()), "deny", "--import ctypes"),
    (("import ctypes",), ("import", "_ctypes", None, (), (), ()), "allow", ""),
    (("extensions all",), ("import", "_ctypes", None, (), (), ()), "allow", ""),
    (("extensions all", "block ctypes"), ("import", "_ctypes", None, (), (), ()), "deny", ""),
    (("import ctypes", "block Ctypes"), ("import", "ctypes", None, (), (), ()), "deny", ""),
    (("block xml.sax",), ("import", "xml.sax.handler", None, (), (), ()), "deny", ""),
    (("block xml.sax",), ("import", "xml.dom", None, (), (), ()), "allow", ""),
    ((), ("import", "_posixsubprocess", None, (), (), ()), "allow", ""),
    ((), ("belljar.denied", "import", "ctypes", ""), "deny", "--import ctypes"),
    ((), ("some.event", "x"), "none", ""),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "args", "expected", "remedy"), CASES)
def test_a_policy_says(
    flags: tuple[str, ...], args: tuple[object, ...], expected: str, remedy: str
) -> None:
    assert verdict(flags, str(args[0]), *args[1:]) == (expected, remedy)


def test_a_denial_says_which_right_is_there_instead() -> None:
    decision = decide(policy("read data"), event("open", "data/x", "w", 0))
    assert decision.because == "granted for read, not for write"
    assert decision.grant == Grant("read", "/w/data", "--read", "/w/data")


def test_a_denial_names_the_nearest_grant_and_prefers_the_same_right() -> None:
    rules = policy("read /srv/other", "write /srv/data/in", "read /srv/data", "read /x")
    near = decide(rules, event("open", "/srv/data2/in", "r", 0)).grant
    assert near is not None
    assert near.target == "/srv/other"
    near = decide(rules, event("open", "/srv/data/inner", "w", 0)).grant
    assert near is not None
    assert near.right == "read"  # it covers, for another right
    runtime = Policy(grants=(Grant("read", "/usr/lib", "runtime"),))
    assert decide(runtime, event("open", "/usr/bin/x", "r", 0)).grant is None


def test_the_other_path_of_a_rename_is_named_in_the_reason() -> None:
    decision = decide(policy("write data"), event("os.rename", "a", "data/b", -1, -1))
    assert decision.because == "/w/a: no grant covers it"


def test_a_block_names_its_place_and_offers_no_remedy() -> None:
    decision = decide(policy("block ctypes"), event("import", "ctypes", None))
    assert decision == Decision("deny", "ctypes is blocked at --block")


@pytest.mark.parametrize("then", ["record", "alert"])
def test_a_rule_that_only_tells_leaves_the_verdict(then: str) -> None:
    rule = Rule("open", "*/.ssh/*", "re?d", then, "p.toml:7")
    rules = policy("read /home").replace(rules=(rule,))
    decision = decide(rules, event("open", "/home/a/.ssh/id", "r", 0))
    assert (decision.verdict, decision.rule) == ("allow", rule)
    assert decide(rules, event("open", "/home/a/x", "r", 0)).rule is None
    assert decide(rules, event("os.chdir", "/home/a/.ssh/id")).rule is None


def test_the_strongest_rule_wins_and_forbids_without_remedy() -> None:
    alert, kill, deny = (
        Rule(target="*x*", then=then, origin=then) for then in ("alert", "kill", "deny")
    )
    rules = policy("read /d").replace(rules=(alert, kill, deny))
    decision = decide(rules, event("open", "/d/x", "r", 0))
    assert (decision.verdict, decision.because) == ("deny", "the rule at kill forbids it")
    assert (decision.rule, decision.remedy) == (kill, "")


def test_a_pattern_matches_the_whole_text() -> None:
    yes = (("*", ""), ("a*c", "abc"), ("*b*", "abc"), ("a?c", "abc"), ("**", "x"), ("[a]", "[a]"))
    for pattern, text in (*yes, ("*.ssh/*", "/.ssh/.ssh/x"), ("*a*b*c", "xaxbxabxc")):
        assert matches(pattern, text), (pattern, text)
    for pattern, text in (
        ("", "a"),
        ("a", ""),
        ("a*", "ba"),
        ("?", ""),
        ("*a", "ab"),
        ("[a]", "a"),
    ):
        assert not matches(pattern, text), (pattern, text)


def test_a_hostile_text_does_not_make_a_pattern_slow() -> None:
    assert not matches("*a" * 40 + "b", "a" * 4000)


def test_names_of_distributions_and_modules_are_compared_in_one_form() -> None:
    assert normal("Zope.Interface") == normal("zope-_interface") == "zope-interface"
    assert normal("_ctypes") != normal("ctypes")
    assert within("a_b.c") == ("a-b", "a-b-c")
    assert "_posixsubprocess" not in UNSAFE_MODULES


def test_a_quoted_word_is_one_word_of_a_shell() -> None:
    import shlex

    for text in ("", "a b", "it's", "$HOME", "a\nb", "plain/x", "é"):
        assert shlex.split(quote(text)) == [text]
