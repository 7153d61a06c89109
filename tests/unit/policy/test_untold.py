"""Rules that refuse do so where the target cannot be told; other spellings are the same target."""

from __future__ import annotations

import pytest

from belljar.events.targets import Cut, Socket, TypeName, resolve
from belljar.model import Decision, Event, Rule
from belljar.policy.deciding import by_rule
from belljar.policy.glob import possible
from belljar.policy.rules import Rules
from belljar.policy.untold import spellings, unclear

SOCKET = Socket("socket", 2, 1)
KEY = "*/sec/secret.key"


def fires(then: str, target: str, name: str, *args: object, cwd: str | None = None) -> bool:
    right, found, asked = resolve(name, args, cwd)[0]
    event = Event(1, 0, 7, 7, name, args, right, found, asked, (), cwd)
    rules = Rules([Rule(target=target, then=then)])
    return rules.wants(name) and rules.judge(event) is not None


@pytest.mark.parametrize(
    ("name", "args", "refused", "told"),
    [
        ("open", (TypeName("PosixPath"), "r", 0), True, False),
        ("open", (Cut("/sec////", 3000), "r", 0), True, True),
        ("open", (Cut("relative", 3000), "r", 0), True, True),
        ("open", ("secret.key", None, 0), True, True),
        ("open", ("../sec/secret.key", None, 2), True, True),
        ("open", ("..", None, 0), True, False),
        ("open", ("other", None, 0), False, False),
        ("open", ("x/secret.key", None, 0), False, False),
        ("open", (7, "r", 0), False, False),
        ("os.remove", (TypeName("P"), -1), True, False),
        ("os.rename", (TypeName("P"), "/b", -1, -1), True, False),
        ("sqlite3.connect", (TypeName("PosixPath"),), True, False),
        ("sqlite3.connect", ("file:x",), True, False),
        ("sqlite3.connect", (":memory:",), False, False),
        ("subprocess.Popen", (TypeName("PosixPath"), ("x",), None, None), True, False),
        ("ctypes.dlopen", (TypeName("PosixPath"),), True, False),
        ("ctypes.dlopen", (None,), False, False),
        ("import", ("x", TypeName("P"), None, None, None), True, False),
        ("socket.connect", (SOCKET, TypeName("T")), True, False),
        ("socket.sendmsg", (SOCKET, None), False, False),
        ("_posixsubprocess.fork_exec", (("/bin/a", "/usr/bin/a"), (), ()), False, False),
        ("_posixsubprocess.fork_exec", (("/bin/a", "/sec/secret.key"), (), ()), True, True),
        ("_posixsubprocess.fork_exec", (("/bin/a", TypeName("B")), (), ()), True, False),
    ],
)
def test_what_cannot_be_told_is_refused_and_alerts_only_as_far_as_it_is_known(
    name: str, args: tuple[object, ...], refused: bool, told: bool
) -> None:
    assert fires("deny", KEY, name, *args) == refused
    assert fires("kill", KEY, name, *args) == refused
    assert fires("alert", KEY, name, *args) == told


def test_each_right_of_an_open_is_refused() -> None:
    rules = Rules([Rule(right="read", target=KEY, then="deny")])
    args = (TypeName("P"), "r+", 2)
    event = Event(1, 0, 7, 7, "open", args, "write", None, None)
    assert rules.judge(event) is not None


def test_the_quick_look_lets_pass_what_was_cut_and_what_is_relative() -> None:
    look = Rules([Rule("open", ("*/sec/secret.key", "/etc/a-directory/key"))]).glance("open")
    assert look is not None
    assert look(b"....key....")
    assert look(b"\xc8\x01\x00\x04\x92\xda")
    assert not look(b"\xa5/else")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "127.000.000.001", "0177.0.0.01", "",
     "::ffff:127.0.0.1", "::ffff:7f00:1", "localhost", "LOCALHOST.", "0"],
)  # fmt: skip
def test_an_address_is_the_same_in_every_spelling(host: str) -> None:
    assert fires("alert", "127.0.0.1:80", "socket.connect", SOCKET, (host, 80))
    assert not fires("alert", "127.0.0.1:81", "socket.connect", SOCKET, (host, 80))
    assert not fires("alert", "10.*", "socket.connect", SOCKET, (host, 80))


@pytest.mark.parametrize("text", ["", ":", "256.1:1", "1.2.3.4.5:1", "[::1%2]:1", "api.dev:1"])
def test_what_is_no_number_has_one_spelling(text: str) -> None:
    assert [s for s in spellings(text) if s.strip("[]:1%2")] == []


def test_a_pattern_reaches_what_begins_or_ends_like_this() -> None:
    assert possible("/a/*.pem", "/a/b/c")
    assert not possible("/a/*.pem", "/b")
    assert possible("*/sec/k?y", ends="/key")
    assert not possible("*/sec/key", ends="/other/key")


def test_a_refusal_says_why_its_target_is_not_known() -> None:
    relative = Event(1, 0, 7, 7, "open", ("x.txt", None, 0), "read", None, "x.txt")
    here = relative.replace(args=("x.txt", "r", 0), target="/a/x.txt", cwd="/a")
    odd = relative.replace(args=(TypeName("PosixPath"), "r", 0), asked=None)
    rule = Rule(target="*/sec/*", then="deny", origin="my.toml:2")
    why = "its target cannot be told: os.open does not say which directory a relative path"
    assert unclear(relative, rule).startswith(why)
    assert unclear(odd, rule) == "its target cannot be told"
    assert unclear(here, rule) == ""
    assert unclear(relative, Rule(then="deny")) == ""
    assert why in by_rule(rule, Decision("none", "x"), relative).because
    assert by_rule(rule, Decision("none", "x"), here).because == "the rule at my.toml:2 forbids it"
