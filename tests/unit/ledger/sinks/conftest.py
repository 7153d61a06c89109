"""What the sinks' tests share: hostile ledgers, feeds in this process, and what they deliver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from belljar.ledger import DECISIONS, END, EVENTS, START, Writer
from belljar.ledger.entries import expand
from belljar.ledger.reader import read
from belljar.ledger.sinks import store
from belljar.ledger.sinks.config import parse
from belljar.ledger.sinks.feed import Feed
from belljar.ledger.sinks.fields import Item, item

from ..conftest import OTHER, RUN, frame, packed

__all__ = ["DECISIONS", "END", "EVENTS", "OTHER", "RUN", "START", "frame", "packed"]

#: What an attacker would like a receiver to misunderstand.
HOSTILE = {
    "controls": "a\x00b\x01\x07\x08\t\n\r\x1b[2J\x1b]0;title\x07\x7f\x85\x9b31m",
    "bidi": "user\u202e\u2066 txt.exe\u2069\u200b\u200f\u061c\ufeff",
    "megabyte": "m" * (1 << 20),
    "astral": "\U0001f600" * 300 + "\u20ac" * 300 + "\U000e0041",
    "broken": b"caf\xe9\xff\xc0\xaf\xed\xa0\x80".decode("utf-8", "surrogateescape"),
    "syslog": 'x\n<0>1 2026-01-01T00:00:00Z evil su - - [a b="c"] root\n32 <34>1 - - - - - -',
    "structure": '"] [belljar@32473 entry="1"] \\"\\] \\\\]"',
    "journal": "x\nMESSAGE=forged\nPRIORITY=0\n\x05\x00\x00\x00\x00\x00\x00\x00abcde\n",
    "audit": "x' res=success uid=0 msg='type=USER_LOGIN \" op=login",
    "json": '{"a":1}\n{"entry":999,"kind":"end"}]}',
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;",
    "sql": "'; DROP TABLE events; --",
    "escapes": "\\u000a \\\\ \\n \\x41 #012 %0a ${jndi:ldap://x}",
    "separators": "a\u2028b\u2029c\x0bd\x0ce",
}


def hostile(writer: Writer) -> dict[str, int]:
    """One decision for each text; their entries by name."""
    numbers = {}
    for name, text in HOSTILE.items():
        target = text.encode("utf-8", "backslashreplace").decode("utf-8")
        row = {"kind": "denial", "verdict": "deny", "right": "read", "target": target}
        numbers[name] = writer.append([(DECISIONS, 1, packed([row]))], RUN)[0]
    return numbers


def target(name: str) -> str:
    """What the entry of `name` holds: MessagePack has no place for broken UTF-8."""
    return HOSTILE[name].encode("utf-8", "backslashreplace").decode("utf-8")


def fill(writer: Writer, count: int, batch: int = 50) -> None:
    for at in range(0, count, batch):
        frames = [frame("open", f"/f/{at + n}", "r", 0, seq=at + n + 1) for n in range(batch)]
        writer.append([(EVENTS, batch, b"".join(frames))], RUN)


@pytest.fixture
def directory(tmp_path: Path) -> str:
    """A directory for a ledger."""
    return str(tmp_path / "ledger")


def items(directory: str, start: int = 1) -> list[Item]:
    """Every entry as sinks get it."""
    return [item(entry, "ab" * 8) for record in read(directory, start) for entry in expand(record)]


class Feeding:
    """A feed of one sink, in a thread of this process."""

    def __init__(self, directory: str, text: str, first: int = 1) -> None:
        known = store.add(directory, parse(text), every_run=True, first=first)
        self.stop = threading.Event()
        self.feed = Feed(directory, known, "ab" * 8, self.stop)
        self.thread = threading.Thread(target=self.feed.run, daemon=True)
        self.thread.start()

    def wait(self, seconds: float = 60.0) -> None:
        """Until the receiver has everything."""
        eventually(lambda: self.feed.caught_up, seconds, lambda: self.feed.where)

    def end(self) -> None:
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture
def feeding(directory: str) -> Iterator[Callable[..., Feeding]]:
    """Starts feeds of the ledger in `directory`, and ends them."""
    started: list[Feeding] = []

    def start(text: str, first: int = 1) -> Feeding:
        started.append(Feeding(directory, text, first))
        return started[-1]

    yield start
    for feeding in started:
        feeding.end()


def eventually(
    check: Callable[[], Any], seconds: float = 60.0, told: Callable[[], object] = lambda: None
) -> Any:
    """What `check` gives, once that is true."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, told()
        time.sleep(0.01)
    return found
