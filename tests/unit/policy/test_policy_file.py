"""Policy files: what they mean, and how they complain."""

from __future__ import annotations

from pathlib import Path

import pytest

from belljar.errors import PolicyError
from belljar.model import Grant, Limits, Policy, Rule
from belljar.policy import load
from belljar.policy.file import MAX_BYTES, parse
from belljar.policy.keys import KEYS

FULL = """\
schema = 1

[files]
read  = ["data/", "-/opt/maybe"]
write = { "/out" = "results/" }
append = ["log.txt"]
overlay = ["project"]
names = "hidden"
[network]
connect  = ["api.example.com:443", "10.0.0.0/8:5432", "udp:[::1]:53", "unix:run/db.sock"]
bind     = ["127.0.0.1:0"]
accept-from = ["192.168.0.0/16"]
net-info = true

[modules]
import     = ["numpy"]
block      = ["ctypes"]
extensions = "named"
bytecode   = true
builtins   = ["print", "len"]

[process]
run    = ["git", "tools/run.sh"]
env    = { LANG = "C.UTF-8", TZ = true }
stdin  = "input.txt"
stdout = "inherit"
os-info = true
devices = ["/dev/kvm"]

[limits]
memory = "256M"
cpu    = "90s"
wall   = 2
processes = 4
threads   = 8
connections = 0
open-files = 32
output = "1MB"
disk   = 4096

[record]
ledger   = "logs"
must-log = ["run"]
sync     = "always"
sinks    = ["syslog"]

[[rule]]
match = { event = "open", target = "*/.ssh/*" }
then  = "alert"

[[rule]]
match.right = "con*"
then  = "kill"

[protections.shop]
refunds = true
rows    = { cap = 10000 }
hosts   = { members = ["a", "b"] }
mode    = { value = "ro" }

[enforce]
require = ["names"]
accept-partial = ["memory"]
"""


def read(text: str, **options: bool) -> Policy:
    return parse(text, "p.toml", "/srv", **options)


def complaint(text: str, **options: bool) -> str:
    with pytest.raises(PolicyError) as caught:
        read(text, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_policy_with_every_key_means_what_it_says() -> None:
    policy = read(FULL)
    assert policy.grants == (
        Grant("read", "/srv/data", "p.toml:4", "/srv/data"),
        Grant("read", "/opt/maybe", "p.toml:4", "/opt/maybe", True),
        Grant("write", "/out", "p.toml:5", "/srv/results"),
        Grant("append", "/srv/log.txt", "p.toml:6", "/srv/log.txt"),
        Grant("connect", "tcp:api.example.com:443", "p.toml:10"),
        Grant("connect", "tcp:10.0.0.0/8:5432", "p.toml:10"),
        Grant("connect", "udp:[::1]:53", "p.toml:10"),
        Grant("connect", "unix:/srv/run/db.sock", "p.toml:10"),
        Grant("bind", "tcp:127.0.0.1:0", "p.toml:11"),
        Grant("import", "numpy", "p.toml:16"),
        Grant("run", "git", "p.toml:23"),
        Grant("run", "/srv/tools/run.sh", "p.toml:23", "/srv/tools/run.sh"),
    )
    assert policy.limits == Limits(256 << 20, 90.0, 2.0, 4, 8, 0, 32, 10**6, 4096)
    assert (policy.names, policy.net_info, policy.accept_from) == (
        "hidden",
        True,
        ("192.168.0.0/16",),
    )
    assert (policy.block, policy.extensions, policy.bytecode) == (("ctypes",), "named", True)
    assert policy.builtins == ("print", "len")
    assert policy.env == (("LANG", "C.UTF-8"), ("TZ", True))
    assert (policy.stdin, policy.stdout, policy.stderr) == ("/srv/input.txt", "inherit", "capture")
    assert (policy.os_info, policy.devices) == (True, ("/dev/kvm",))
    assert (policy.ledger, policy.must_log, policy.sync) == ("/srv/logs", ("run",), "always")
    assert policy.sinks == ("syslog",)
    assert policy.rules == (
        Rule("open", "*/.ssh/*", "*", "alert", "p.toml:47"),
        Rule("*", "*", "con*", "kill", "p.toml:51"),
    )
    assert policy.protections == ("shop",)
    assert (policy.require, policy.accept_partial) == (("names",), ("memory",))


def test_every_key_that_is_written_is_given_with_its_line() -> None:
    policy = read(FULL)
    lines = FULL.splitlines()
    for key in KEYS:
        if key.dotted == "process.stderr":
            assert policy.origin(key.dotted) == "default"
            continue
        line = int(policy.origin(key.dotted).removeprefix("p.toml:"))
        assert lines[line - 1].split("=")[0].strip() == key.name
    assert policy.origin("rule") == "p.toml:47"
    assert policy.origin("protections.shop") == "p.toml:55"


def test_an_empty_policy_is_the_default() -> None:
    assert read("schema = 1\n") == Policy()


def test_deep_nesting_and_endless_numbers_are_policy_errors() -> None:
    assert "nested too deep" in complaint("schema = " + "[" * 20000)
    assert "p.toml" in complaint("schema = " + "1" * 5000)


def test_a_pyproject_needs_the_table_and_no_schema() -> None:
    text = '[project]\nname = "x"\n\n[tool.belljar.files]\nread = [\n  "data",\n]\n'
    policy = read(text, pyproject=True)
    assert policy.grants == (Grant("read", "/srv/data", "p.toml:6", "/srv/data"),)
    assert complaint("[project]\n", pyproject=True) == "p.toml: has no table [tool.belljar]"
    assert complaint("tool = 3\n", pyproject=True) == "p.toml: has no table [tool.belljar]"
    assert complaint("[tool.belljar]\nschema = 2\n", pyproject=True).startswith(
        "p.toml:2: schema 2"
    )
    assert complaint("[tool.belljar]\nfile = 2\n", pyproject=True).startswith("p.toml:2: unknown")


def test_a_file_is_read_relative_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/policy.toml").write_text('schema = 1\n[files]\nread = ["../data"]\n')
    monkeypatch.chdir(tmp_path)
    for name in ("sub/policy.toml", str(tmp_path / "sub/policy.toml")):
        (grant,) = load(name).grants
        assert (grant.target, grant.origin) == (str(tmp_path / "data"), f"{name}:3")
    (tmp_path / "pyproject.toml").write_text("[tool.belljar.limits]\nthreads = 3\n")
    assert load("pyproject.toml").limits.threads == 3


def test_a_file_that_cannot_be_read_is_a_policy_error(tmp_path: Path) -> None:
    for name, content, message in (
        ("latin", b"schema = 1\n# \xff", ":2: is not UTF-8"),
        ("large", b"#" * (MAX_BYTES + 1), ": is larger than a policy may be (1 MiB)"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(PolicyError) as caught:
            load(str(path))
        assert str(caught.value) == f"{path}{message}"
    for path, why in (
        (tmp_path / "none", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(PolicyError) as caught:
            load(str(path))
        assert str(caught.value) == f"{path}: cannot be read: {why}"
    with pytest.raises(PolicyError):
        load("a\0b")
