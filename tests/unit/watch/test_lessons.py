"""Reading a record to learn from it: which program it was, what was denied, what is amiss."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import msgspec
import pytest

from belljar.errors import LedgerError
from belljar.events.decode import Header, Hello
from belljar.ledger import DECISIONS, END, EVENTS, START, Writer
from belljar.ledger.runs import find
from belljar.model import Grant, Policy
from belljar.policy import to_plain
from belljar.watch.explain import explain
from belljar.watch.lessons import host_path, program_of, study

RUN = bytes(range(16))
DENIED = {"kind": "denial", "right": "read", "event": "open", "pid": 5, "seq": 3}


def frame(kind: int, body: list[object], seq: int = 0, pid: int = 5) -> bytes:
    data = msgspec.msgpack.encode(body)
    return (
        struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(data), kind, 0, 1, pid, pid, seq, 10**18) + data
    )


def hello(*argv: str, cwd: str = "/srv", pid: int = 5) -> bytes:
    return frame(1, ["3.11.7", 1, list(argv), cwd, 0], pid=pid)


def event(seq: int, name: str, *args: object, pid: int = 5) -> bytes:
    return frame(2, [name, list(args), ["/srv/a.py", seq, "f"], None], seq, pid)


class Ledger:
    """A ledger in the making."""

    def __init__(self, path: Path) -> None:
        self.path = str(path / "ledger")

    def add(self, kind: int, *bodies: object) -> None:
        with Writer(self.path) as writer:
            if kind == EVENTS:
                frames = b"".join(b for b in bodies if isinstance(b, bytes))
                writer.append([(EVENTS, len(bodies), frames)], RUN)
            else:
                value = list(bodies) if kind == DECISIONS else bodies[0]
                count = len(bodies) if kind == DECISIONS else 1
                writer.append([(kind, count, msgspec.msgpack.encode(value))], RUN)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def run_start(policy: Policy, **more: object) -> dict[str, object]:
    return {
        "kind": "run", "program": ["script", "a.py"], "argv": ["x"], "cwd": "/srv",
        "interpreter": sys.executable, "effective": to_plain(policy), "mapped": [["/box", "/srv"]],
        **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "kind", "target", "args"),
    [
        (["python3", "a.py", "-c", "x"], "script", "a.py", ("-c", "x")),
        (["python3", "-X", "dev", "-Wd", "-W", "error", "a.py"], "script", "a.py", ()),
        (["python3", "-Ic", "pass", "1"], "code", "pass", ("1",)),
        (["python3", "-B", "-m", "pkg.tool", "-v"], "module", "pkg.tool", ("-v",)),
        (["python3"], "code", "", ()),
        ([], "code", "", ()),
        (["python3", "-"], "code", "", ()),
        (["python3", "-X"], "code", "", ()),
    ],
)
def test_the_program_is_read_from_the_interpreters_arguments(
    argv: list[str], kind: str, target: str, args: tuple[str, ...]
) -> None:
    greeting = Hello(Header(1, 0, 7, 7, 0, 0), "3.13.0", 1, tuple(argv), "/srv", 0, False)
    program = program_of(greeting, None)
    assert (program.kind, program.target, program.args) == (kind, target, args)


def test_the_guests_names_become_the_hosts() -> None:
    mapped = (("/in", "/srv/data"), ("/box", "/srv"))
    assert host_path("/in/a", mapped) == "/srv/data/a"
    assert host_path("/box", mapped) == "/srv"
    assert host_path("/inner", mapped) == "/inner"


def test_a_watched_run_is_learned_from_and_its_flaws_are_told(ledger: Ledger) -> None:
    ledger.add(START, {"mode": "watch", "argv": [sys.executable, "-c", "x"]})
    ledger.add(
        EVENTS, hello(sys.executable, "-c", "x"), event(1, "open", "/etc/hosts.allow", "r", 0),
        event(2, "cpython.run_command", "x"), event(3, "open", "/etc/profile", "r", 0),
    )  # fmt: skip
    lesson = study(ledger.path, find(ledger.path))
    assert [g.target for g in lesson.learned.policy.grants] == ["/etc/profile"]
    assert any("no end" in line for line in lesson.amiss)
    ledger.add(EVENTS, b"junk" * 20)
    ledger.add(END, {"status": 3, "drops": 2})
    lesson = study(ledger.path, find(ledger.path))
    assert lesson.status == 3
    assert any("2 events were lost" in line for line in lesson.amiss)
    assert any("decoded: 1" in line for line in lesson.amiss)


def test_a_record_without_events_teaches_nothing(ledger: Ledger) -> None:
    ledger.add(START, {"mode": "watch", "argv": ["sh"]})
    with pytest.raises(LedgerError, match="no event to learn from"):
        study(ledger.path, find(ledger.path))


def test_a_run_without_its_policy_cannot_be_added_to(ledger: Ledger) -> None:
    ledger.add(START, run_start(Policy(), effective={"grants": "?"}))
    with pytest.raises(LedgerError, match="kept no policy"):
        study(ledger.path, find(ledger.path))


@pytest.mark.parametrize(
    "row",
    [
        {}, {"right": 3}, {**DENIED, "target": None},
        {**DENIED, "target": "/etc/hostname", "rule": "r"},
        {**DENIED, "target": "/etc/hostname", "kind": "alert"},
    ],
)  # fmt: skip
def test_rows_that_are_no_denials_of_the_policy_add_nothing(
    ledger: Ledger, row: dict[str, object]
) -> None:
    ledger.add(START, run_start(Policy()))
    ledger.add(DECISIONS, row)
    assert study(ledger.path, find(ledger.path)).learned.policy.grants == ()


def test_a_denial_beside_the_program_is_granted_by_the_hosts_name(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "d.txt").write_text("")
    ledger.add(START, run_start(Policy(), mapped=[["/box", str(tmp_path)]]))
    at = ["/box/a.py", 3, "f"]
    ledger.add(DECISIONS, {**DENIED, "target": "/box/d.txt", "at": at, "remedy": ""})
    lesson = study(ledger.path, find(ledger.path))
    assert [g.target for g in lesson.learned.policy.grants] == [str(tmp_path / "d.txt")]
    assert lesson.learned.items[0].places == (f"{tmp_path}/a.py:3",)
    assert lesson.learned.items[0].denied


def test_neighbours_are_of_the_same_process_and_the_same_incarnation(ledger: Ledger) -> None:
    policy = Policy(grants=(Grant("read", "/srv", "p.toml:3"),))
    ledger.add(START, run_start(policy))
    some = [event(n, "open", f"/old{n}", "r", 0) for n in range(1, 6)]
    new = [event(n, "open", f"/new{n}", "r", 0) for n in range(1, 6)]
    other = [event(n, "open", f"/other{n}", "r", 0, pid=6) for n in range(1, 6)]
    ledger.add(EVENTS, hello("p"), *some, hello("p", "again"), *new[:4], *other)
    ledger.add(DECISIONS, {**DENIED, "target": "/new3", "because": "no grant covers it"})
    ledger.add(EVENTS, new[4], hello("p", "third"), *some)
    found = explain(ledger.path, 18)
    assert found.event is not None
    assert found.hello is not None
    assert (found.event.data.target, found.hello.data.argv) == ("/new3", ("p", "again"))
    assert [e.data.target for e in found.before] == ["/new1", "/new2"]
    assert [e.data.target for e in found.after] == ["/new4", "/new5"]
    assert found.considered[0][0].origin == "p.toml:3"


def test_a_decision_whose_event_was_not_kept_is_explained_all_the_same(ledger: Ledger) -> None:
    ledger.add(START, run_start(Policy()))
    ledger.add(DECISIONS, {**DENIED, "target": "/x"}, {"pid": "?", "seq": None})
    assert explain(ledger.path, 2).event is None
    assert explain(ledger.path, 3).row == {"pid": "?", "seq": None}
