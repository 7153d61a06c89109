"""What the ledger's tests share."""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import pytest

from belljar.cli import log_query
from belljar.ledger import DECISIONS, END, EVENTS, START, Writer

RUN = bytes(range(16))
OTHER = bytes(range(16, 32))


def frame(name: str = "open", *args: object, kind: int = 2, seq: int = 1, pid: int = 77) -> bytes:
    """One recorder frame, as docs/protocol.md describes it."""
    body = {
        1: ["3.11.7", 1, ["job.py"], "/box", 0],
        2: [name, list(args), None, None],
        3: [0],
    }[kind]
    data = msgspec.msgpack.encode(body)
    return struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(data), kind, 0, 1, pid, 5, seq, 10**18) + data


def packed(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def fill(writer: Writer, run: bytes = RUN, now: int = 10**18) -> list[int]:
    """One finished run of six entries in four records."""
    return writer.append(
        [
            (START, 1, packed({"argv": ["job.py", "x"], "guest": "job"})),
            (EVENTS, 2, frame("open", "/etc/passwd", "r", 0) + frame("import", "x", seq=2)),
            (
                DECISIONS,
                2,
                packed(
                    [{"verdict": "deny", "right": "read", "target": "/a"}, {"verdict": "allow"}]
                ),
            ),
            (END, 1, packed({"exit": 0, "ended_by": "exit"})),
        ],
        run,
        now,
    )


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the smallest index takes a second, and standard error would say so."""
    monkeypatch.setattr(log_query, "QUIET", 600.0)


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """A directory with a ledger of one finished run."""
    directory = str(tmp_path / "ledger")
    with Writer(directory) as writer:
        assert fill(writer) == [1, 2, 4, 6]
    return directory
