"""Rules over a watched program: what is looked at, who is answered, what is told once."""

from __future__ import annotations

import random
import struct

import pytest

from belljar._native import pack
from belljar.model import Rule
from belljar.policy.rules import Rules
from belljar.watch.arbiter import ALLOW, DENY, KILL, Alert, Arbiter, selecting
from belljar.watch.collect import Chunk

HEADER = struct.Struct("<HHBBHIIQQ")
HELLO, EVENT = 1, 2
CHECK, FORKED, ASK = 1, 8, 16


class Frames:
    """Frames as the recorder writes them."""

    def __init__(self) -> None:
        self.data = b""
        self.flagged: list[tuple[int, int]] = []
        self.count = 0

    def raw(self, body: bytes, kind: int = EVENT, flags: int = 0, pid: int = 7) -> Frames:
        length = HEADER.size + len(body)
        if flags & CHECK or kind != EVENT:
            self.flagged.append((len(self.data), length))
        self.count += 1
        self.data += HEADER.pack(0x4A42, length, kind, flags, 2, pid, pid, self.count, 0) + body
        return self

    def event(self, name: str, *args: object, pid: int = 7, line: int = 3) -> Frames:
        return self.raw(pack([name, args, ("/w/job.py", line, "load"), "/w"]), pid=pid)

    def asks(self, name: str, *args: object, slot: object = 5) -> Frames:
        body = pack([name, args, ("/w/job.py", 3, "load"), "/w", slot])
        return self.raw(body, flags=CHECK | ASK)

    def hello(self, pid: int = 7, parent: int = 1, flags: int = 0) -> Frames:
        body = pack(["3.11.7", parent, ["python", "job.py"], "/w", 0])
        return self.raw(body, HELLO, flags, pid)


class Bench:
    """An arbiter with all that it said and answered."""

    def __init__(self, *rules: Rule, must_log: tuple[str, ...] = (), begin: str = "") -> None:
        self.answers: list[tuple[int, int, int]] = []
        self.told: list[Alert] = []
        self.asked_packages = 0
        self.order: list[str] = []
        self.arbiter = Arbiter(
            Rules(rules),
            must_log,
            package_of=self._package,
            tell=self._tell,
            answer=self._answer,
            keep=self._keep,
            begin=begin,
        )

    def _package(self, event: object) -> str:
        self.asked_packages += 1
        return "pip 23.2"

    def _tell(self, alert: Alert) -> None:
        self.told.append(alert)

    def _answer(self, *answer: int) -> None:
        self.order.append("answer")
        self.answers.append(answer)

    def _keep(self, alert: Alert) -> int:
        self.order.append("keep")
        return 100 + len(self.told)

    def take(self, frames: Frames, *, kept: bool = True) -> Bench:
        chunk = Chunk(frames.data, frames.count, tuple(frames.flagged))
        self.arbiter.take(chunk, kept=kept)
        return self


SHELL = Rule("os.system", then="alert", id="shell")


def test_a_rule_that_fires_is_kept_numbered_and_told() -> None:
    bench = Bench(SHELL).take(Frames().hello().event("os.system", "true").event("open", "x"))
    (alert,) = bench.told
    assert bench.arbiter.alerts == [alert]
    assert (alert.rule, alert.package, alert.program, alert.number) == (
        SHELL, "pip 23.2", "python job.py", 100,
    )  # fmt: skip
    assert (alert.event.seq, alert.refused) == (2, False)


def test_a_program_that_is_looked_for_in_every_directory_is_told_once() -> None:
    bench, frames = Bench(Rule("os.exec", then="alert")), Frames()
    for path, line in (("/a/sh", 3), ("/b/sh", 3), ("/b/ls", 3), ("/b/sh", 4)):
        frames.event("os.exec", path, ("sh",), None, line=line)
    bench.take(frames)
    assert [alert.event.target for alert in bench.told] == ["/a/sh", "/b/ls", "/b/sh"]
    assert bench.arbiter.repeated == 1


def test_one_start_that_is_told_by_two_events_is_one_alert() -> None:
    """subprocess names `sh`, and beneath it CPython 3.14 all places where that may lie."""
    shells = ("sh", "*/sh")
    bench, frames = Bench(Rule(right="run", target=shells, then="alert")), Frames()
    frames.event("subprocess.Popen", "sh", ("sh",), None, None)
    frames.event("_posixsubprocess.fork_exec", (b"/a/sh", b"/b/sh"), ("sh",), None)
    bench.take(frames)
    assert [alert.event.name for alert in bench.told] == ["subprocess.Popen"]
    assert bench.arbiter.repeated == 1


def test_the_same_from_the_same_place_is_told_once_and_counted() -> None:
    frames = (
        Frames().event("os.system", "a").event("os.system", "a").event("os.system", "a", line=9)
    )
    bench = Bench(SHELL).take(frames).take(Frames().event("os.system", "a"))
    assert (len(bench.told), bench.arbiter.repeated) == (2, 2)


def test_a_rule_that_only_records_tells_nobody() -> None:
    assert Bench(Rule("os.system")).take(Frames().event("os.system", "a")).told == []


@pytest.mark.parametrize(("then", "verdict"), [("deny", DENY), ("kill", KILL), ("alert", ALLOW)])
def test_who_waits_is_answered_by_the_rule(then: str, verdict: int) -> None:
    bench = Bench(SHELL.replace(then=then)).take(Frames().asks("os.system", "true"))
    assert bench.answers == [(5, 1, verdict)]
    assert bench.told[0].refused == (then != "alert")
    assert bench.order == ["keep", "answer"]


def test_who_waits_for_the_record_is_answered_only_when_it_is_kept() -> None:
    frames = Frames().asks("os.system", "true").asks("socket.connect", None, ("::1", 8))
    assert Bench(must_log=("run", "connect")).take(frames).answers == [(5, 1, ALLOW), (5, 2, ALLOW)]
    assert Bench(must_log=("run", "connect")).take(frames, kept=False).answers == []
    assert Bench(must_log=("connect",)).take(frames, kept=False).answers == [(5, 1, ALLOW)]
    refusing = Bench(SHELL.replace(then="deny"), must_log=("run",))
    assert refusing.take(frames, kept=False).answers == [(5, 1, DENY), (5, 2, ALLOW)]


def test_of_imports_only_those_of_native_code_wait_for_the_record() -> None:
    frames = Frames().asks("import", "x", "/w/x.so").asks("import", "y", None)
    bench = Bench(must_log=("native",)).take(frames, kept=False)
    assert bench.answers == [(5, 2, ALLOW)]


def test_native_code_that_only_a_rule_asks_about_needs_no_record() -> None:
    frames = Frames().asks("import", "x", "/w/x.so").asks("import", "y", None)
    bench = Bench(Rule("import", "antigravity", then="deny")).take(frames, kept=False)
    assert bench.answers == [(5, 1, ALLOW), (5, 2, ALLOW)]
    bench = Bench(must_log=("import",)).take(frames, kept=False)
    assert bench.answers == []


@pytest.mark.parametrize(
    "body", [b"\xc1", b"\x95", b"\x95\xa1x", pack(["os.system", 3, None, None, 5])]
)
def test_a_frame_that_is_none_gets_no_answer(body: bytes) -> None:
    bench = Bench(SHELL.replace(then="deny")).take(Frames().raw(body, flags=CHECK | ASK))
    assert (bench.answers, bench.arbiter.malformed) == ([], 1)


def test_a_slot_that_is_none_is_nobodys() -> None:
    bench = Bench(SHELL).take(Frames().asks("os.system", "x", slot="five"))
    assert bench.answers in ([], [(-1, 1, ALLOW)])


def test_only_what_a_rule_could_want_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    from belljar.watch import arbiter

    decoded: list[bytes] = []

    def counting(frame: bytes) -> object:
        decoded.append(frame)
        return real(frame)

    real = arbiter.decode
    monkeypatch.setattr(arbiter, "decode", counting)
    keys = Rule("open", "*/.ssh/*", then="alert")
    bench = Bench(SHELL, keys)
    frames = Frames()
    for number in range(50):
        frames.event("open", f"/usr/lib/{number}", "r", 0).event("shop.refund", number)
        frames.event("compile", "x", f"<{number}>").event("import", f"m{number}")
    bench.take(frames)
    assert decoded == []
    bench.take(Frames().event("open", "/home/a/.ssh/id", "r", 0).event("os.system", "x"))
    assert (len(decoded), len(bench.told)) == (2, 2)
    quiet = Frames().event("open", "/home/a/ssh/id", "r", 0)
    bench.take(quiet).take(quiet).take(quiet)
    assert len(decoded) == 2
    near = Frames().event("open", "/srv/.ssh", "r", 0)  # holds what is looked for, and is not it
    bench.take(near).take(near).take(near)
    assert len(decoded) == 3


def test_the_package_is_looked_up_only_where_a_rule_asks_or_for_an_alert() -> None:
    bench = Bench(SHELL).take(Frames().event("os.system", "x"))
    assert bench.asked_packages == 1
    asking = Bench(Rule("os.system", package="numpy", then="alert"))
    assert asking.take(Frames().event("os.system", "x")).told == []
    assert asking.asked_packages == 1


AFTER = Rule("exec", after=Rule(right="connect"), then="alert")
CONNECT = ("socket.connect", None, ("10.0.0.1", 80))


def test_what_a_process_did_before_counts_for_it_and_for_its_forks() -> None:
    frames = Frames().hello().event(*CONNECT).event("exec", 1)
    assert len(Bench(AFTER).take(frames).told) == 1
    bench = Bench(AFTER).take(Frames().hello().event("exec", 1).event(*CONNECT))
    assert bench.told == []
    bench.take(Frames().hello(8, 7, FORKED).event("exec", 1, pid=8))
    assert [alert.event.pid for alert in bench.told] == [8]
    bench.take(Frames().hello(9, 7).event("exec", 1, pid=9))
    bench.take(Frames().hello(8, 1).event("exec", 2, pid=8))  # another program, the same number
    assert [alert.event.pid for alert in bench.told] == [8]


def test_with_a_beginning_rules_count_from_there_on() -> None:
    bench = Bench(SHELL.replace(then="deny"), begin="belljar.begin")
    bench.take(Frames().event("os.system", "x").asks("os.system", "x"))
    assert (bench.told, bench.answers) == ([], [(5, 2, ALLOW)])
    bench.take(Frames().event("belljar.begin").asks("os.system", "x"))
    assert (len(bench.told), bench.answers[1:]) == (1, [(5, 2, DENY)])


def test_the_settings_have_what_waits_first_and_what_must_be_kept() -> None:
    rules = Rules([Rule("open", "*/x", then="deny"), Rule("shop.*", then="alert"), AFTER])
    lines = selecting(rules, ["bind"])
    assert lines[:2] == (("ask", "open"), ("ask", "socket.bind"))
    keeps = {name for key, name in lines if key == "keep"}
    assert {"shop.*", "exec", "socket.connect"} <= keeps
    assert "open" not in keeps
    assert ("keep", "import") in selecting(Rules([Rule(shadows="*", then="alert")]), [])


def test_a_pattern_that_the_settings_cannot_hold_becomes_a_wider_one() -> None:
    for long in ("shop." + "x" * 200, "shop.\u00e9t\u00e9", "shop.a\tb"):
        lines = selecting(Rules([Rule(long, then="deny")]), [])
        for _, pattern in lines:
            assert len(pattern) <= 128
            assert pattern.isascii()
            assert pattern.isprintable()
        assert any(long.startswith(p[:-1]) and p.endswith("*") for _, p in lines)


def test_no_bytes_of_chance_raise() -> None:
    dice = random.Random(3)
    bench = Bench(SHELL.replace(then="deny"), AFTER, Rule(shadows="*", then="alert"))
    frames = Frames()
    whole = pack(["os.system", ("x",), ("f", 1, "g"), "/", 4])
    for at in range(len(whole)):
        for byte in (0, 0x81, 0xC1, 0xD9, 0xFF):
            body = whole[:at] + bytes([byte]) + whole[at + 1 :]
            frames.raw(body, flags=dice.choice((0, CHECK | ASK)))
    for kind in (HELLO, EVENT, 3, 4, 5):
        for _ in range(200):
            frames.raw(dice.randbytes(dice.randrange(1, 60)), kind, dice.choice((0, CHECK | ASK)))
    bench.take(frames)


def test_a_program_cannot_fill_the_memory() -> None:
    bench = Bench(SHELL, Rule("open", "*/.ssh/*", then="alert"))
    frames = Frames()
    for number in range(300):
        frames.event("open", f"/.ssh{number}" + "x" * 3000, "r", 0)
    bench.take(frames)
    assert sum(map(len, bench.arbiter._quiet)) < 300 * 512
