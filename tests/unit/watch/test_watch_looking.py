"""Looking at events may fail, by whatever they are made of; recording and the program go on."""

from __future__ import annotations

import io
import struct

import pytest

from belljar._native import pack
from belljar.cli.watch_options import parse
from belljar.cli.watch_session import Session
from belljar.model import Rule
from belljar.watch.collect import Chunk
from belljar.watch.record import Record
from belljar.watch.run import Watched
from belljar.watch.selection import Selection

DENY = Rule("os.system", then="deny")


class Taking(Record):
    """A record that counts."""

    def __init__(self) -> None:
        super().__init__("none")
        self.taken = 0

    def take(self, chunks: list[Chunk]) -> bool:
        self.taken += len(chunks)
        return super().take(chunks)


class Answers:
    """A collector that is only asked to answer."""

    events = 0

    def __init__(self) -> None:
        self.given: list[tuple[int, int, int]] = []

    def answer(self, *answer: int) -> None:
        self.given.append(answer)


def chunk(body: bytes, seq: int = 1, flags: int = 0) -> Chunk:
    size = 32 + len(body)
    frame = struct.pack("<2sHBBHIIQQ", b"BJ", size, 2, flags, 2, 7, 7, seq, 0) + body
    return Chunk(frame, 1, ((0, size),) if flags else ())


def asking(seq: int) -> Chunk:
    return chunk(pack(["os.system", ["x"], None, None, seq]), seq, 1 | 16)


def session(record: Record, out: io.StringIO, *argv: str, rules: tuple[Rule, ...] = ()) -> Session:
    options = parse(["--ledger", "none", *argv, "-c", "0"])
    return Session(options, Selection([], []), rules, False, record, out)


def broken(*_anything: object, **_named: object) -> bool:
    raise IndexError("made up")


def test_what_waits_and_cannot_be_judged_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    record, out, answers = Taking(), io.StringIO(), Answers()
    watching = session(record, out, rules=(DENY,))
    watching.ready(answers)  # type: ignore[arg-type]
    assert watching._arbiter is not None
    with monkeypatch.context() as patch:
        patch.setattr(watching._arbiter, "_judge", broken)
        watching.take([asking(1)])
    assert (answers.given, record.taken) == ([], 1)
    watching.take([asking(2)])
    assert answers.given == [(2, 2, 2)]
    assert watching.finish(Watched(0, 7, 1, 0, ())) is False
    assert "finding: could not look at some events: IndexError: made up\n" in out.getvalue()


def test_a_view_that_fails_is_one_finding_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    record, out = Taking(), io.StringIO()
    watching = session(record, out)
    assert watching._view is not None
    monkeypatch.setattr(watching._view, "_frame", broken)
    for seq in range(300):
        watching.take([chunk(pack(["os.system", ["x"], None, None]), seq)])
        watching.work()
    assert record.taken == 300
    watching.finish(Watched(0, 7, 300, 0, ()))
    assert out.getvalue().count("could not look at") == 1


def test_a_cross_check_that_fails_tells_nothing_by_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    record, out = Taking(), io.StringIO()
    watching = session(record, out, "--cross-check")
    assert watching._cross is not None
    monkeypatch.setattr(watching._cross, "work", broken)
    monkeypatch.setattr(watching._cross, "report", lambda: pytest.fail("asked for a report"))
    assert watching.work() is False
    watching.finish(Watched(0, 7, 0, 0, ()))
    assert "could not look at some events: IndexError" in out.getvalue()


def test_frames_without_a_place_are_shown() -> None:
    bodies = [
        b"\x97\xa3a.b\x90\xc0\xc0\xc0\x91\x93\xa5/x.py\x01\xa1f\xc0",
        *(
            pack([name, args, None, None, None, [["/x.py", 1, "f"]], None])
            for name in ("open", "import", "exec", "compile", "os.system", "subprocess.Popen",
                         "socket.connect", "os.exec", "sqlite3.connect", "os.rename")
            for args in ([], ["x"], ["x", "<y>"], [None, None, None])
        ),
    ]  # fmt: skip
    for argv in ((), ("--json",)):
        out = io.StringIO()
        watching = session(Taking(), out, *argv, rules=(Rule("*", then="alert"),))
        for seq, body in enumerate(bodies):
            watching.take([chunk(body, seq)])
        watching.finish(Watched(0, 7, len(bodies), 0, ()))
        assert "could not look" not in out.getvalue()
        assert "could not be decoded" not in out.getvalue()
