"""What a branch may say in the record: things of itself, and nothing in another's name."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import pytest

import belljar

CTYPES: Any = {"import_": ["ctypes"], "names": "visible"}
#: In a guest: ways to the collector, and frames that say they are another's.
FORGE = """
import ctypes, fcntl, os, struct
libc = ctypes.CDLL(None, use_errno=True)
def ways():
    found = []
    for fd in range(3, 1100):
        try: flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        except OSError: continue
        if flags & 3 == os.O_WRONLY: found.append(fd)
    fd = libc.open(b"/belljar/channel", os.O_WRONLY | os.O_NONBLOCK)
    return found + [fd] if fd >= 0 else found
def frame(pid, seq):
    body = b"\\x94\\xa6forged\\x90\\xc0\\xc0"
    return struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(body), 2, 1, 2, pid, pid, seq, 0) + body
def forge(pids):
    count = 0
    for fd in ways():
        for pid in pids:
            for seq in range(1, 200):
                data = frame(pid, seq)
                count += libc.write(fd, data, len(data)) == len(data)
    return count
def scribble(pid):
    fd = libc.open(b"/belljar/page", os.O_RDWR)
    if fd < 0: return False
    data = b"".join(frame(pid, seq) for seq in range(1000, 1020))
    os.pwrite(fd, data, 64)
    os.pwrite(fd, struct.pack("<Q", 77 << 16 | len(data)), 8)
    return True
"""


def recorded(ledger: Path) -> str:
    """All entries, as text."""
    from belljar.ledger.entries import expand
    from belljar.ledger.reader import Reader

    with Reader(str(ledger)) as reader:
        return "\n".join(repr(entry) for record in reader.records() for entry in expand(record))


@pytest.mark.parametrize("engine", ["template", "cold"])
def test_a_branch_says_nothing_in_the_name_of_another(engine: str, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with belljar.Sandbox(ledger=str(ledger), branches=4, engine=engine, **CTYPES) as box:
        box.run("import os, ctypes, fcntl, struct")
        one, two = box.fork(), box.fork()
        third = two.fork()
        others = [each._guest.number for each in (box, two, third)]
        later = max(*others, one._guest.number) + 1  # who is not born yet
        one.put(pids=[*others, later])
        one.run(FORGE)
        result = one.run("forge(pids), scribble(pids[0])")
        assert result.error is None
        assert result.value[0] > 0, "the attack reaches no channel at all"
        for each in (box, two, third):
            assert "forged" not in [event.name for event in each.run("open('x')").events]
        born = box.fork()
        assert "forged" not in [event.name for event in born.run("1").events]
        for each in (one, two, third, born):
            each.close()
    assert one.result.missed > 0  # it is told who tried
    assert {two.result.missed, third.result.missed, box.result.missed} == {0}
    said = recorded(ledger)
    assert "'missed': 2" in said  # by its own channel, and by the one that is nobody's
    assert "belljar.branch.apart" in said
    assert "'forged'" not in said


def test_no_program_turns_its_events_another_way() -> None:
    """Neither by the event with which a guest does so when the host asks."""
    with belljar.Sandbox(ledger="none", branches=2) as box, box.fork() as branch:
        for each in (box, branch):
            for name in ("belljar.branch.channel", "belljar.branch"):
                result = each.run(f"""
import os, socket, sys
own, other = os.pipe(), socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
socket.send_fds(other[0], [b"belljar channel\\x00100"], [own[1]])
told = []
for fd in (own[1], other[1].fileno(), 3, -1):
    try:
        sys.audit({name!r}, fd)
        told.append("done")
    except OSError as error:
        told.append(error.errno)
told
""")
                assert result.value == [1, 1, 1, 1], result
            assert "exec" in [event.name for event in each.run("exec('1')").events]


def test_who_closes_the_way_of_its_events_ends() -> None:
    with belljar.Sandbox(ledger="none", branches=2, **CTYPES) as box, box.fork() as branch:
        branch.run(FORGE)
        close = 3 if platform.machine() == "x86_64" else 57
        branch.run(f"for fd in ways(): libc.syscall({close}, fd)\nopen('x')")
        assert branch.result.status == 125
        assert box.eval("1") == 1


def test_a_branch_has_no_hand_in_the_answers_that_others_wait_for(tmp_path: Path) -> None:
    """Nor can it take the places where they wait."""
    asked: Any = {"ledger": str(tmp_path / "ledger"), "connect": ["127.0.0.1:9"]}
    with belljar.Sandbox(branches=3, **asked, **CTYPES) as box:
        box.run("import socket\ndef go():\n    socket.socket().connect(('127.0.0.1', 9))")
        one, two = box.fork(), box.fork()
        result = one.run("""
import ctypes, os, struct
fd = ctypes.CDLL(None).open(b"/belljar/answers", os.O_RDWR)
for at in range(0, os.fstat(fd).st_size if fd >= 0 else 0, 16):
    os.pwrite(fd, struct.pack("<QII", 77 << 32 | 77, 0, 0), at)
fd
""")
        assert result.error is None, result.error
        assert result.value >= 0, "the attack reaches no answers at all"
        for each in (two, box, box.fork()):
            told = each.run("go()").error
            assert told.type_name == "ConnectionRefusedError", told


def test_what_has_ended_holds_no_descriptor_while_somebody_refers_to_it() -> None:
    kept = []
    counts = []
    for _ in range(3):
        with belljar.Sandbox(ledger="none", branches=2, engine="cold") as box, box.fork() as one:
            assert one.eval("1") == 1
            kept += [box, one, box._guest, one._guest]
        for guest in kept[-2:]:
            assert guest.over.wait(60)
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[2] <= counts[1], counts
