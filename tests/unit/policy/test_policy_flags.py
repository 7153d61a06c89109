"""Flags on top of a policy."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.errors import PolicyError
from belljar.model import Grant, Policy
from belljar.policy import from_flags
from belljar.policy.flags import mapped, quoted_path
from belljar.policy.keys import KEYS


def flags(*pairs: tuple[str, str], base: Policy | None = None) -> Policy:
    return from_flags(base or Policy(), pairs, "/srv")


EXAMPLES = {
    "read": ("data", Grant("read", "/srv/data", "--read", "/srv/data")),
    "write": ("-out", Grant("write", "/srv/out", "--write", "/srv/out", True)),
    "append": ("/a", Grant("append", "/a", "--append", "/a")),
    "overlay": ("project", ("/srv/project",)),
    "names": ("hidden", "hidden"),
    "connect": ("h:1", Grant("connect", "tcp:h:1", "--connect")),
    "bind": ("127.0.0.1:0", Grant("bind", "tcp:127.0.0.1:0", "--bind")),
    "accept-from": ("10.0.0.0/8", ("10.0.0.0/8",)),
    "net-info": ("", True),
    "import": ("numpy", Grant("import", "numpy", "--import")),
    "block": ("a,b", ("a", "b")),
    "extensions": ("all", "all"),
    "bytecode": ("true", True),
    "builtins": ("print,len", ("print", "len")),
    "run": ("git", Grant("run", "git", "--run")),
    "env": ("A=b=c", (("A", "b=c"),)),
    "stdin": ("x", "/srv/x"),
    "stdout": ("inherit", "inherit"),
    "stderr": ("capture", "capture"),
    "os-info": ("false", False),
    "devices": ("/dev/kvm", ("/dev/kvm",)),
    "memory": ("256M", 256 << 20),
    "cpu": ("500ms", 0.5),
    "wall": ("2", 2.0),
    "processes": ("4", 4),
    "threads": ("5", 5),
    "connections": ("0", 0),
    "open-files": ("99", 99),
    "output": ("1kB", 1000),
    "disk": ("0", 0),
    "ledger": ("none", "none"),
    "must-log": ("open,read", None),
    "sync": ("never", "never"),
    "sinks": ("x,y", ("x,y",)),
    "require": ("names", ("names",)),
    "accept-partial": ("memory,names", ("memory", "names")),
}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_is_a_flag_of_the_same_name(key) -> None:
    text, expected = EXAMPLES[key.name]
    if key.name == "must-log":
        text, expected = "read", ("run", "connect", "native", "read")
    policy = flags((f"--{key.name}", text))
    if isinstance(expected, Grant):
        assert policy.grants == (expected,)
    else:
        home = policy.limits if key.section == "limits" else policy
        assert getattr(home, key.field) == expected
    assert policy.origin(key.dotted) == f"--{key.name}"


def test_lists_append_and_single_values_replace() -> None:
    base = flags(("read", "a"), ("memory", "100M"), ("env", "A=1"), ("block", "x"))
    policy = flags(
        ("--read", "b"), ("--memory", "200M"), ("--env", "B"), ("--block", "y,x"), base=base
    )
    assert [grant.target for grant in policy.grants] == ["/srv/a", "/srv/b"]
    assert policy.limits.memory == 200 << 20
    assert policy.env == (("A", "1"), ("B", True))
    assert policy.block == ("x", "y")


def test_no_flags_are_no_change() -> None:
    base = flags(("read", "a"))
    assert from_flags(base, [], "/srv") is base


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        ("--raed", "x", "--raed: is not a key of the policy; did you mean read?"),
        ("--read", "", "--read: expected a string that is not empty and has no NUL, got ''"),
        ("--read", "/", "--read: / cannot be granted: name what is needed beneath it"),
        ("--read", "/in=/", "--read: / cannot be granted: name what is needed beneath it"),
        ("--memory", "1M", "--memory: must be at least 16MiB, got '1M'"),
        ("--threads", "x", "--threads: expected a whole number up to 1048576, got 'x'"),
        ("--bytecode", "yes", "--bytecode: expected true or false, got 'yes'"),
        ("--names", "x", "--names: expected auto, hidden, visible, got 'x'"),
        ("--env", "=x", "--env: '' is not the name of a variable"),
        ("--block", "a,,b", "--block: expected a string that is not empty and has no NUL, got ''"),
        (
            "--connect",
            "h",
            """--connect: 'h' has no port: write "host:443", or "host:*" for every port""",
        ),
    ],
)
def test_a_wrong_flag_is_named(flag: str, text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        flags((flag, text))
    assert str(caught.value) == message
    assert caught.value.place == flag


@pytest.mark.parametrize(
    ("text", "target", "source"),
    [
        ("/in=./data", "/in", "/srv/data"),
        ("/in=/data", "/in", "/data"),
        ("/in=-../data", "/in", "/data"),
        ("/data/year=2024/jan", "/data/year=2024/jan", "/data/year=2024/jan"),
        ("/y=1/x=./d", "/y=1/x", "/srv/d"),
        ("in=./data", "/srv/in=./data", None),
        ("//in=/data", "/in=/data", "/in=/data"),
    ],
)
def test_a_path_is_mapped_only_where_it_cannot_be_meant_plainly(
    text: str, target: str, source: str | None
) -> None:
    (grant,) = flags(("read", text)).grants
    assert grant.target == os.path.normpath(target)
    assert grant.source == os.path.normpath(source or target)


@given(st.text("/a=.-", min_size=1).map(lambda t: "/" + t))
def test_a_quoted_path_is_never_taken_for_a_mapped_one(text: str) -> None:
    path = os.path.normpath("/" + text.lstrip("/"))
    assert mapped(quoted_path(path)) is None


@given(
    st.lists(
        st.tuples(st.sampled_from([k.name for k in KEYS]), st.text() | st.text("/a=.,:1")),
        max_size=4,
    )
)
def test_any_flags_are_a_policy_or_a_policy_error(pairs: list[tuple[str, str]]) -> None:
    try:
        result: Policy | str = flags(*pairs)
    except PolicyError as error:
        result = str(error)
    assert isinstance(result, Policy) or re.fullmatch(r"--[^\n]*: [^\n]+", result)
