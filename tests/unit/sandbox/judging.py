"""A judge with all that it said, and frames as the recorder writes them."""

from __future__ import annotations

import struct

from belljar._native import pack
from belljar.model import Policy
from belljar.sandbox.judge import Judge
from belljar.sandbox.result import Denial

HEADER = struct.Struct("<HHBBHIIQQ")
HELLO, EVENT, BYE = 1, 2, 3
CHECK, REFUSED, ASK = 1, 2, 16


class Frames:
    """Frames as the recorder writes them, and where those that need a look lie."""

    def __init__(self) -> None:
        self.data = b""
        self.count = 0
        self.flagged: list[tuple[int, int]] = []

    def raw(self, body: bytes, kind: int = EVENT, flags: int = CHECK) -> Frames:
        length = HEADER.size + len(body)
        head = HEADER.pack(0x4A42, length, kind, flags, 1, 7, 7, self.count, 0)
        if flags & CHECK or kind != EVENT:
            self.flagged.append((len(self.data), length))
        self.data += head + body
        self.count += 1
        return self

    def asks(self, name: str, *args: object) -> Frames:
        body = pack([name, args, ("/box/job.py", 3, "load"), "/box", 9])
        self.raw(body, EVENT, CHECK | ASK)
        at, _ = self.flagged[-1]  # slots are of the second version
        self.data = self.data[: at + 6] + b"\2\0" + self.data[at + 8 :]
        return self

    def event(
        self, name: str, *args: object, flags: int = CHECK, line: int = 3, cwd: str = "/box"
    ) -> Frames:
        return self.raw(pack([name, args, ("/box/job.py", line, "load"), cwd]), EVENT, flags)


class Kept:
    """A record in memory; numbers are given out from 1."""

    def __init__(self) -> None:
        self.frames = b""
        self.rows: list[dict[str, object]] = []
        self.full = False

    def events(self, frames: bytes, count: int, flagged: object) -> bool:
        self.frames += frames
        return not self.full

    def decisions(self, rows: list[dict[str, object]]) -> list[int | None]:
        first = len(self.rows) + 1
        self.rows += rows
        return list(range(first, len(self.rows) + 1))


class Bench:
    """A judge with all that it said."""

    def __init__(self, policy: Policy | None = None, mapped: tuple = ()) -> None:
        self.told: list[Denial] = []
        self.record = Kept()
        self.answers: list[tuple[int, int, int]] = []
        self.judge = Judge(
            policy or Policy(),
            self.record,
            self.told.append,
            mapped,
            lambda *answer: self.answers.append(answer),
        )

    def take(self, frames: Frames) -> Bench:
        self.judge.take(frames.data, frames.count, frames.flagged)
        return self

    @property
    def denied(self) -> list[tuple[str, str]]:
        return [(d.right, d.target) for d in self.judge.denials]

    def remedy(self) -> str:
        (denial,) = self.judge.denials
        return denial.decision.remedy
