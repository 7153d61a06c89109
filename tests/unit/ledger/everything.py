"""A ledger of everything: each kind of entry, ordinary and hostile."""

from __future__ import annotations

import struct

import msgspec

from belljar.ledger import DECISIONS, END, EVENTS, START, Writer

from .conftest import OTHER, RUN, packed

LONG = "long" * 250_000
#: What a terminal, a shell, a parser or a spreadsheet might take for its own.
NASTY = (
    "\x1b]0;owned\x07\x1b[2J",
    "\r\n<13>1 2026-01-01T00:00:00Z host app - - - forged",
    "\x9b31m\u202egpj.exe\u200b\u2066",
    '"}\n{"kind":"event","entry":1}',
    "'; DROP TABLE raw.facts; --",
    "<script>alert(1)</script>&amp;",
    "=cmd|'/C calc'!A0",
    "@SUM(1+1)*cmd",
    "a\x00b\x7f",
    "%s%n{0}${HOME}`id`",
)
EXT = msgspec.msgpack.Ext


def event(
    name: str,
    args: list[object],
    *,
    where: object = ("/srv/app.py", 7, "main"),
    base: object = "/w",
    seq: int = 1,
    pid: int = 77,
    flags: int = 0,
    time: int = 10**18,
    kind: int = 2,
    version: int = 2,
) -> bytes:
    """One frame of the recorder, version 2."""
    data = msgspec.msgpack.encode([name, args, where, base])
    return head(data, kind, flags, version, pid, seq, time) + data


def head(data: bytes, kind: int, flags: int, version: int, pid: int, seq: int, time: int) -> bytes:
    fixed = (0x4A42, 32 + len(data), kind, flags, version, pid, 5, seq, time)
    return struct.pack("<HHBBHIIQQ", *fixed)


def raw(body: object, kind: int, *, seq: int = 0, pid: int = 77) -> bytes:
    data = msgspec.msgpack.encode(body)
    return head(data, kind, 0, 2, pid, seq, 10**18) + data


def frames() -> list[bytes]:
    """One of each kind of frame, and hostile ones."""
    found = [
        raw(["3.11.7", 1, ["job.py"], "/w", 0, "/usr/bin/python3", 1000, 5], 1),
        event("open", ["/etc/passwd", "r", 0]),
        event("open", ["/etc/passwd", "r", 0], seq=2, pid=78, flags=2),
        event("os.rename", ["a", "/b", -1, -1], seq=3),
        event("socket.connect", [EXT(7, packed(["socket", 2, 1])), ["10.0.0.1", 443]], seq=4),
        event("compile", [EXT(6, packed(["x = 1", 4000, bytes(32)])), "<string>"], seq=5),
        event("os.kill", [1, 9], seq=6, time=(1 << 64) - 1),
        event("shop.refund", [1 << 63, None, True, 2.5, float("inf"), b"\xff"], seq=7),
        event("open", [b"/tmp/\xff\xfe", "w", 577], seq=8, where=None, base=None),
        event("os.listdir", [EXT(1, b"\xed\xa0\x80")], seq=9),
        event("cpython.run_command", ["print(1)"], seq=10),
        event("subprocess.Popen", ["/bin/ls", ["ls", "-l"], None, []], seq=11),
        raw(["openat", 4, 1, 0, b"/etc/\xffshadow", b"/"], 5, seq=1),
        raw([3], 4, seq=14),
        b"BJ\x21\x00\x02\x00\x02\x00" + bytes(25),  # decodes to no event
        event("open", ["x"], kind=9),  # a kind of frame that nobody knows
        raw([0], 3, seq=14),
    ]
    for number, text in enumerate(NASTY):
        found.append(event(text, [text], where=(text, -1, text), base=text, seq=20 + number))
        found.append(event("open", [text, "w", 0], where=(text, 1 << 62, text), seq=40 + number))
    return found


def decisions() -> list[object]:
    """Denials and alerts, ordinary and hostile."""
    denial = {
        "kind": "denial", "verdict": "deny", "right": "read", "target": "/etc/passwd",
        "asked": "../etc/passwd", "event": "open", "pid": 77, "seq": 2,
        "because": "no grant covers it", "remedy": "--read /etc/passwd", "rule": "", "grant": "",
        "at": ["/srv/my app.py", 14, "load"],
    }  # fmt: skip
    alert = denial | {
        "kind": "alert", "verdict": "none", "rule": "policy.toml:9", "then": "alert",
        "id": "ssh-keys", "text": "Keys were read.", "package": "left-pad",
    }  # fmt: skip
    strange: list[object] = [
        {"kind": 5, "verdict": [], "pid": -1, "seq": 1 << 63, "at": "no", "target": {"a": b"\xff"}},
        {"at": [None, "x", 3], "because": LONG, "target": LONG, "id": "x" * 5000},
        {},
        {1: 2, "verdict": "deny", "pid": True, "at": ["/a", 1 << 40, "f"]},
    ]
    nasty = [
        denial | {"target": text, "because": text, "id": text, "rule": text, "at": [text, 3, text]}
        for text in NASTY
    ]
    return [denial, alert, *strange, *nasty]


def make(directory: str) -> int:
    """A ledger of two runs in `directory` with all of it; how many entries."""
    every, found = frames(), decisions()
    with Writer(directory, clerk=False) as writer:
        start = {"kind": "run", "program": ["script", "/srv/job.py"], "argv": ["a", LONG], "pid": 9}
        writer.append(
            [
                (START, 1, packed(start)),
                (EVENTS, len(every), b"".join(every)),
                (DECISIONS, len(found), packed(found)),
                (END, 1, packed({"status": 0, "ended-by": "exit", "events": 11, "drops": -1})),
            ],
            RUN,
            10**18,
        )
        writer.append(
            [
                (START, 1, packed({"mode": "watch", "argv": NASTY, "python": 3})),
                (START, 1, b"\xc1 no MessagePack"),
                (DECISIONS, 2, packed(["no map", {}])),
                (DECISIONS, 3, b"\xff" * 50),
                (EVENTS, 2, b"no frames at all"),
                (EVENTS, 2, every[1] + every[2] + b"left over"),
            ],
            OTHER,
            10**18 + 10**9,
        )
    return 3 + len(every) - 1 + len(found) + 11
