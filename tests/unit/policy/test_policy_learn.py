"""What one need becomes in a learned policy, and what it does not."""

from __future__ import annotations

import pytest

from belljar.events.targets import resolve
from belljar.model import Event, Frame, Grant, Limits, Policy, Rule
from belljar.policy.facts import Facts
from belljar.policy.file import parse
from belljar.policy.items import Item, Learned
from belljar.policy.learn import Learner
from belljar.policy.places import may_create
from belljar.policy.secret import holds_secrets, is_obeyed
from belljar.policy.toml import to_toml

OLD = {
    "/": "directory", "/srv": "directory", "/srv/in.csv": "file", "/srv/data": "directory",
    "/srv/out": "directory", "/srv/db": "file", "/srv/pipe": "other", "/home/me": "directory",
    "/home/me/.ssh": "directory", "/home/me/.ssh/id_rsa": "file", "/home/me/notes": "file",
    "/srv/.git": "directory", "/srv/.git/hooks": "directory", "/srv/link": "file",
}  # fmt: skip
NEW = {"/srv/out/x": "file", "/srv/new": "directory", "/srv/new/y": "file", "/tmp/t": "file"}


def event(name: str, *args: object, asked: str = "", time: int = 0) -> Event:
    right, target, said = resolve(name, args, "/srv")[0]
    where = (Frame("/srv/x.py", 7, "f"),)
    return Event(
        1, time, 7, 7, name, args, right, target, asked or said, where, "/srv"
    )  # fmt: skip


def facts(**more: object) -> Facts:
    kinds = {**OLD, **NEW}
    given: dict[str, object] = {
        "given": Policy(grants=(Grant("read", "/usr/lib/python3", "runtime"),)),
        "kind": lambda path: kinds.get(path, ""),
        "new": lambda path: path in NEW,
        "changed": lambda path: path == "/srv/db",
        "owner": lambda path: "numpy" if "numpy" in path else "",
        "obeyed": (".git", "Makefile"),
    }
    return Facts(**{**given, **more})


def learn(
    *events: Event, denied: bool = False, base: Policy | None = None, **more: object
) -> Learned:
    learner = Learner(facts(**more), base)
    for one in events:
        learner.add(one, denied=denied)
    return learner.finish()


def granted(learned: Learned) -> list[tuple[str, str]]:
    return [(g.right, g.target) for g in learned.policy.grants]


def proposed(learned: Learned) -> list[tuple[str, str]]:
    return [(i.key, i.value) for i in learned.items if i.withheld]


@pytest.mark.parametrize(
    ("asked", "grants"),
    [
        (("open", "/srv/in.csv", "r", 0), [("read", "/srv/in.csv")]),
        (("open", "in.csv", "r", 0), [("read", "/srv/in.csv")]),
        (("os.listdir", "/srv/data"), [("read", "/srv/data")]),
        (("open", "/srv/in.csv", "w", 0o1101), [("write", "/srv/in.csv")]),
        (("open", "/srv/in.csv", "r+", 2), [("read", "/srv/in.csv"), ("write", "/srv/in.csv")]),
        (("open", "/srv/out/x", "w", 0o1101), [("write", "/srv/out")]),
        (("open", "/srv/out/gone", "w", 0o1101), [("write", "/srv/out")]),
        (("open", "/srv/new/y", "w", 0o1101), [("write", "/srv")]),
        (("os.mkdir", "/srv/new", 511, -1), [("write", "/srv")]),
        (("os.mkdir", "/srv/out", 511, -1), []),
        (("os.remove", "/srv/in.csv", -1), [("write", "/srv")]),
        (("open", "/srv/nowhere", "r", 0), []),
        (("open", "/usr/lib/python3/os.py", "r", 0), []),
        (("open", "/srv/__pycache__/a.pyc", "r", 0), []),
        (("sqlite3.connect", "/srv/in.csv"), [("read", "/srv/in.csv")]),
        (("sqlite3.connect", "/srv/db"), [("read", "/srv"), ("write", "/srv")]),
        (("socket.connect", None, ("10.0.0.1", 80)), [("connect", "tcp:10.0.0.1:80")]),
        (("socket.sendto", None, ("10.0.0.1", 53)), [("connect", "udp:10.0.0.1:53")]),
        (("socket.bind", None, ("127.0.0.1", 80)), [("bind", "tcp:127.0.0.1:80")]),
        (("subprocess.Popen", "/usr/bin/sort", None, None, None), [("run", "/usr/bin/sort")]),
        (("import", "json", None, None, None, None), []),
        (("import", "ctypes", None, None, None, None), [("import", "ctypes")]),
        (("import", "numpy.x", "/site/numpy/x.so", None, None, None), [("import", "numpy")]),
        (("os.chdir", "/srv/data"), [("read", "/srv/data")]),
    ],
)  # fmt: skip
def test_one_event_becomes_the_smallest_grant(
    asked: tuple[str, object], grants: list[tuple[str, str]]
) -> None:
    learned = learn(event(*asked))
    assert granted(learned) == grants
    assert proposed(learned) == []


@pytest.mark.parametrize(
    ("asked", "what", "why"),
    [
        (("open", "/home/me/.ssh/id_rsa", "r", 0), ("read", "/home/me/.ssh/id_rsa"), "credentials"),
        (("os.listdir", "/home/me"), ("read", "/home/me"), "it holds /home/me/.ssh"),
        (("os.listdir", "/home/you"), ("read", "/home/you"), "it is a home directory"),
        (("os.listdir", "/home"), ("read", "/home"), "it holds a home directory"),
        (("os.listdir", "/etc"), ("read", "/etc"), "a whole tree of the system"),
        (("open", "/srv/.git/hooks/x", "w", 0o101), ("write", "/srv/.git/hooks"), "obey"),
        (("open", "/srv/Makefile", "w", 0o101), ("write", "/srv"), "obey"),
        (("open", "/srv/pipe", "r", 0), ("read", "/srv/pipe"), "neither a file"),
        (("socket.getaddrinfo", "example.com", 80, 0, 0, 0), ("connect", "example.com:*"),
         "with its port"),
        (("socket.connect", None, ("169.254.169.254", 80)), ("connect", "169.254.169.254:80"),
         "credentials"),
        (("socket.connect", None, "/run/db"), ("connect", "unix:/run/db"), "no such"),
        (("socket.connect", None, "/run/docker.sock"), ("connect", "unix:/run/docker.sock"),
         "rules"),
        (("socket.bind", None, ("0.0.0.0", 80)), ("bind", "0.0.0.0:80"), "accept-from"),
        (("socket.bind", None, "/gone/s"), ("bind", "unix:/gone/s"), "directory is not there"),
    ],
)  # fmt: skip
def test_what_is_sensitive_or_cannot_be_granted_is_proposed_with_the_reason(
    asked: tuple[str, object], what: tuple[str, str], why: str
) -> None:
    made = {"/srv/.git/hooks/x": "file", "/srv/Makefile": "file"}
    made |= {"/run/docker.sock": "other"}
    more = {"/home": "directory", "/home/you": "directory", "/etc": "directory"}
    learned = learn(
        event(*asked),
        homes=("/home/you",),
        kind=lambda path: {**OLD, **NEW, **made, **more}.get(path, ""),
        new=lambda path: path in NEW or path in made,
    )
    assert granted(learned) == []
    assert proposed(learned) == [what]
    assert why in learned.items[0].withheld


def test_a_name_that_is_no_text_is_proposed_and_can_be_written_as_a_comment() -> None:
    path = "/srv/\udcff"
    learned = learn(
        event("open", path, "r", 0), kind=lambda p: "file" if p == path else "directory"
    )
    assert proposed(learned) == [("read", path)]
    assert parse(to_toml(learned, "/srv", ()), "p.toml", "/srv").grants == ()


def test_a_directory_that_is_granted_includes_what_lies_in_it() -> None:
    learned = learn(
        event("open", "/srv/data/a", "r", 0),
        event("os.listdir", "/srv/data"),
        kind=lambda p: {"/srv/data/a": "file", **OLD}.get(p, ""),
    )
    assert granted(learned) == [("read", "/srv/data")]
    assert learned.items[0].count == 2


def test_a_file_that_is_replaced_is_granted_by_its_directory_for_it_must_not_be_a_mount() -> None:
    learned = learn(
        event("open", "/srv/in.csv", "r", 0),
        event("os.rename", "/srv/out/x", "/srv/in.csv", -1, -1),
    )
    assert granted(learned) == [("read", "/srv"), ("write", "/srv")]


def test_a_link_out_of_a_granted_directory_is_granted_where_it_leads() -> None:
    learned = learn(
        event("os.listdir", "/srv/data"), event("open", "/srv/data/l", "r", 0),
        kind=lambda p: {**OLD, "/srv/data/l": "file", "/etc/motd": "file"}.get(p, ""),
        real=lambda p: "/etc/motd" if p == "/srv/data/l" else p,
    )  # fmt: skip
    assert granted(learned) == [("read", "/etc/motd"), ("read", "/srv/data")]


def test_what_is_made_in_the_temporary_directory_needs_nothing_and_what_stays_there_is_told() -> (
    None
):
    learned = learn(
        event("open", "/tmp/gone", "w", 0o301), event("open", "/tmp/t", "w", 0o301),
        event("open", "/tmp/gone/deep", "r", 0),
    )  # fmt: skip
    assert granted(learned) == []
    assert any("/tmp/t was left" in note for note in learned.notes)


def test_what_the_interpreter_does_before_the_program_begins_is_not_learned() -> None:
    learner = Learner(facts())
    learner.started(7)
    learner.add(event("open", "/srv/in.csv", "r", 0))
    assert granted(learner.finish()) == []
    learner.add(event("cpython.run_file", "/srv/x.py"))
    learner.add(event("open", "/srv/in.csv", "r", 0))
    assert granted(learner.finish()) == [("read", "/srv/in.csv")]


def test_only_one_of_two_distributions_is_named_when_it_brings_the_other() -> None:
    learned = learn(
        event("import", "numpy.x", "/site/numpy/x.so", None, None, None),
        event("import", "pandas.x", "/site/pandas/x.so", None, None, None),
        owner=lambda path: "pandas" if "pandas" in path else "numpy",
        requires=lambda name: {"pandas": ("pandas", "numpy"), "numpy": ("numpy",)}.get(name, ()),
    )
    assert granted(learned) == [("import", "pandas")]


def test_ctypes_is_not_granted_for_what_a_granted_distribution_does_with_it() -> None:
    inside = (Frame("/site/numpy/core.py", 1, "f"),)
    learned = learn(
        event("import", "numpy.x", "/site/numpy/x.so", None, None, None),
        event("import", "ctypes", None, None, None, None).replace(stack=inside),
        requires=lambda name: ("numpy",) if name == "numpy" else (),
    )
    assert granted(learned) == [("import", "numpy")]


def test_limits_are_raised_only_where_what_was_seen_needs_it() -> None:
    assert learn(event("open", "/srv/in.csv", "r", 0)).policy.limits == Limits()
    assert learn(event("os.fork")).policy.limits.processes == 2
    long = learn(event("os.fork"), event("os.fork", time=100 * 10**9)).policy
    assert long.limits.wall == 240.0
    learner = Learner(facts())
    learner.peak = 5
    assert learner.finish().policy.limits.processes == 5


def test_input_is_inherited_where_it_was_read() -> None:
    assert learn(event("open", "/srv/in.csv", "r", 0)).policy.stdin == "null"
    assert learn(event("builtins.input", "? ")).policy.stdin == "inherit"


BASE = Policy(
    grants=(
        Grant("read", "/srv/data", "old.toml:4", "/srv/data"),
        Grant("read", "/in", "old.toml:5", "/srv/in.csv"),
        Grant("read", "/usr/lib", "runtime"),
    ),
    limits=Limits(cpu=5.0),
    rules=(Rule(event=("open", "os.*"), then="alert", origin="old.toml:9"),),
    env=(("LANG", "C"),),
    given=(("limits.cpu", "old.toml:7"), ("process.env", "old.toml:8")),
)  # fmt: skip


def test_what_was_denied_is_added_to_the_policy_of_that_run_and_marked() -> None:
    learned = learn(event("open", "/srv/in.csv", "r", 0), denied=True, base=BASE)
    assert granted(learned) == [("read", "/srv/data"), ("read", "/in"), ("read", "/srv/in.csv")]
    text = to_toml(learned, "/srv", ())
    assert "was denied" in text
    again = parse(text, "new.toml", "/srv")
    assert {(g.right, g.target, g.source) for g in again.grants} == {
        ("read", "/srv/data", "/srv/data"), ("read", "/in", "/srv/in.csv"),
        ("read", "/srv/in.csv", "/srv/in.csv"),
    }  # fmt: skip
    assert (again.limits.cpu, again.env) == (5.0, (("LANG", "C"),))
    assert again.rules[0].replace(origin="") == BASE.rules[0].replace(origin="")


def test_the_uses_of_an_older_policys_grants_are_counted_and_nothing_else_is_added() -> None:
    used = event("open", "/srv/data/a", "r", 0)
    learned = learn(used, used, event("open", "/srv/in.csv", "r", 0), base=BASE)
    assert [i.count for i in learned.items if i.origin] == [0, 2]
    assert granted(learned) == [("read", "/srv/data"), ("read", "/in")]


def test_the_text_names_what_needed_each_grant_and_paths_relative_to_the_file() -> None:
    learned = learn(event("open", "/srv/in.csv", "r", 0), event("open", "/srv/out/x", "w", 0o1101))
    text = to_toml(learned, "/srv", ("A heading",))
    assert '    "in.csv",  # x.py:7 (once)\n' in text
    assert '    "out",  # x.py:7 (once); the directory, because of out/x\n' in text
    assert text.startswith("# A heading\nschema = 1\n")
    item = Item("read", "/srv/-x", 2, ("a\nb:1",))
    hostile = to_toml(Learned(Policy(), (item,), {}, ()), "/srv", ())
    assert '"./-x",  # a\\nb:1 (2 times)' in hostile


def test_opening_that_may_create_is_told_from_opening_that_may_not() -> None:
    assert may_create(event("open", "/a", None, 0o101))
    assert may_create(event("open", "/a", "x", 0))
    assert not may_create(event("open", "/a", "r+", 2))
    assert not may_create(event("open", "/a", None, 1))


def test_names_that_hold_secrets_or_are_obeyed_are_known() -> None:
    assert holds_secrets("/a/.aws/config")
    assert holds_secrets("/a/tls.key")
    assert holds_secrets("/h/.config/gh/hosts.yml")
    assert not holds_secrets("/srv/a.csv")
    assert is_obeyed("/srv/.git/config", (".git",))
    assert is_obeyed("/home/me/.bashrc", ())
    assert is_obeyed("/etc/motd", ())
    assert not is_obeyed("/srv/a", (".git",))


def test_code_that_was_refused_is_learned_and_code_that_was_seen_is_not() -> None:
    for denied in (True, False):
        learner = Learner(facts())
        learner.add(event("marshal.loads", b"N").replace(right="code"), denied=denied)
        learned = learner.finish()
        assert learned.policy.bytecode is denied
        assert ("bytecode = true" in to_toml(learned, "/srv", ())) is denied
