"""Senders that lie, stall, flood and break off: they end themselves, and delay nobody else."""

from __future__ import annotations

import array
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.ledger.collecting import Machine, Raw, begin, machine, message, numbered, until
from tests.unit.ledger.conftest import packed

from belljar.errors import LedgerError
from belljar.ledger import DECISIONS, END, EVENTS, START
from belljar.ledger.collect.remote import RemoteWriter
from belljar.ledger.collect.shares import Limits
from belljar.ledger.collect.wire import ACK, HEAD, ITEM, MOST_BODY, NO
from belljar.ledger.reader import read, verify

RUN = bytes(range(16))
SOON = 1.0  # seconds: what an honest sender may take beside any of these


def head(
    magic: bytes = b"BJc\n",
    version: int = 1,
    kind: int = 1,
    items: int = 1,
    length: int = 60,
    number: int = 1,
) -> bytes:
    return HEAD.pack(magic, version, kind, items, length, number)


def item(kind: int, flags: int, reserved: int, count: int, length: int, data: bytes) -> bytes:
    body = RUN + ITEM.pack(kind, flags, reserved, count, length) + data
    return head(length=len(body)) + body


LIES = {
    "garbage": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "version": head(version=2),
    "kind": head(kind=130),
    "no items": head(items=0),
    "too many items": head(items=5000, length=MOST_BODY),
    "too long": head(length=MOST_BODY + 1),
    "longest": head(length=(1 << 32) - 1),
    "too short": head(length=20),
    "number": head(number=2),
    "kind recovered": item(5, 0, 0, 1, 1, b"\x80"),
    "kind sender": item(9, 0, 0, 1, 1, b"\x80"),
    "kind epoch": item(8, 0, 0, 1, 1, b"\x80"),
    "kind unknown": item(77, 0, 0, 1, 1, b"\x80"),
    "flags": item(START, 1, 0, 1, 1, b"\x80"),
    "flags of events": item(EVENTS, 2, 0, 1, 32, bytes(32)),
    "reserved": item(START, 0, 1, 1, 1, b"\x80"),
    "two starts in one": item(START, 0, 0, 2, 2, b"\x80\x80"),
    "no entry": item(START, 0, 0, 0, 1, b"\x80"),
    "entries without bytes": item(EVENTS, 0, 0, (1 << 32) - 1, 32, bytes(32)),
    "entries in deflated bytes": item(EVENTS, 1, 0, 1 << 20, 64, bytes(64)),
    "decisions without bytes": item(DECISIONS, 0, 0, 3, 2, bytes(2)),
    "shorter than it says": item(START, 0, 0, 1, 9, b"\x80"),
    "longer than it says": item(START, 0, 0, 1, 1, b"\x80\x80"),
    "not its run": item(EVENTS, 0, 0, 1, 32, bytes(32)),
    "an end first": item(END, 0, 0, 1, 1, b"\x80"),
}


def test_bytes_that_no_sender_may_say_end_the_connection_and_are_told_once_each() -> None:
    with machine() as here, RemoteWriter(here.path) as honest:
        run = os.urandom(16)
        honest.append([(START, 1, packed({}))], run)
        said = {}
        for number, (name, lie) in enumerate(LIES.items()):
            with Raw(here.path) as liar:
                kind, about, _values, said[name] = liar.say(lie)
                assert (kind, about) == (NO, 0), name
                assert liar.hear()[0] == 0, name
            honest.append([(EVENTS, 1, numbered(number))], run)
            time.sleep(0.11)  # ten notes a second are kept
        here.stop()
        assert verify(here.directory).runs == 1
        told = [s for s in here.senders() if s["run"] == bytes(16)]
        assert [s["ended"] for s in told] == list(said.values())
        assert {s["pid"] for s in told} == {os.getpid()}


def test_notes_about_a_user_who_does_nothing_but_lie_are_few_and_say_how_many_more() -> None:
    with machine() as here:
        for _ in range(200):
            with Raw(here.path) as liar:
                assert liar.say(b"x" * 40)[0] == NO
        time.sleep(0.3)
        with Raw(here.path) as liar:
            assert liar.say(b"x" * 40)[0] == NO
        here.stop()
        told = here.senders()
        assert len(told) < 60
        assert len(told) + sum(s.get("unnoted", 0) for s in told) >= 201


def write(here: Machine, count: int = 30) -> float:
    """The slowest of what an honest sender does: to connect, or to append."""
    run = os.urandom(16)
    before = time.monotonic()
    with RemoteWriter(here.path, deadline=20) as writer:
        slowest = time.monotonic() - before
        writer.append([(START, 1, packed({}))], run)
        for index in range(count):
            before = time.monotonic()
            writer.append([(EVENTS, 1, numbered(index, 2_000))], run)
            slowest = max(slowest, time.monotonic() - before)
            time.sleep(0.005)
        writer.append([(END, 1, packed({}))], run)
    return slowest


def stall_in_head(here: Machine) -> None:
    with Raw(here.path) as sender:
        sender.sock.sendall(head()[:7])
        time.sleep(60)


def stall_in_body(here: Machine) -> None:
    senders = [Raw(here.path) for _ in range(8)]
    for sender in senders:
        sender.sock.sendall(head(length=MOST_BODY) + bytes(100_000))
    time.sleep(60)


def never_listen(here: Machine) -> None:
    """Thousands of messages, and not one acknowledgement is taken."""
    with Raw(here.path) as sender:
        run = os.urandom(16)
        sender.sock.sendall(begin(1, run))
        for number in range(2, 1 << 30):
            sender.sock.sendall(message(number, run, (EVENTS, 1, numbered(number))))


def one_byte_at_a_time(here: Machine) -> None:
    with Raw(here.path) as sender:
        run = os.urandom(16)
        data = begin(1, run)
        for number in range(2, 1 << 30):
            for byte in data:
                sender.sock.sendall(bytes((byte,)))
            data = message(number, run, (EVENTS, 1, numbered(number)))


def come_and_go(here: Machine) -> None:
    while True:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(here.path)
            sock.sendall(b"\0" * 50)


def flood(here: Machine) -> None:
    with Raw(here.path) as sender:
        run = os.urandom(16)
        assert sender.say(begin(1, run))[0] == ACK
        for number in range(2, 1 << 30):
            sender.say(message(number, run, (EVENTS, 32, numbered(1, 60_000) * 32)))


@pytest.mark.parametrize(
    "hostile",
    [stall_in_head, stall_in_body, never_listen, one_byte_at_a_time, come_and_go, flood],
    ids=lambda work: work.__name__,
)
def test_a_hostile_sender_does_not_delay_the_others(hostile: Callable[[Machine], None]) -> None:
    with machine(limits=Limits(rate=64 << 20)) as here:
        nobody = os.geteuid() == 0

        def work() -> None:
            if nobody:  # another user than the honest one, who has a rate of his own
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            hostile(here)

        child = here.fork(work)
        time.sleep(0.1)
        slowest = write(here)
        print(f"{hostile.__name__}: {slowest * 1000:.1f} ms")
        assert slowest < SOON
        assert here.kill(child) == -9, "it had stopped being hostile"
        here.stop()
        assert verify(here.directory).torn == 0


def test_memory_that_a_stalled_message_holds_is_taken_back() -> None:
    limits = Limits(pool=MOST_BODY, patience=0.3)
    with machine(limits=limits) as here, Raw(here.path) as stalled:
        stalled.sock.sendall(head(length=MOST_BODY) + bytes(100_000))
        time.sleep(0.05)
        run = os.urandom(16)
        with RemoteWriter(here.path, deadline=10) as writer:
            writer.append([(START, 1, packed({}))], run)  # short: needs no room
            before = time.monotonic()
            writer.append([(EVENTS, 10, os.urandom(1 << 20))], run)
            assert 0.1 < time.monotonic() - before < 5
            writer.append([(END, 1, packed({}))], run)
        assert stalled.hear()[::3] == (NO, "a message took too long to arrive")
        here.stop()
        assert "a message took too long to arrive" in [s.get("ended") for s in here.senders()]


def test_who_sends_more_than_his_share_is_not_read_from() -> None:
    rate = 1 << 20
    with machine(limits=Limits(rate=rate)) as here, Raw(here.path) as sender:
        run = os.urandom(16)
        held = memory(here.pid)  # with what it inherited of this process
        before = time.monotonic()
        assert sender.say(begin(1, run))[0] == ACK
        for number in range(2, 7):
            sent = message(number, run, (EVENTS, 1, os.urandom(rate // 2)))
            assert sender.say(sent)[0] == ACK
        assert 1.0 < time.monotonic() - before < 10  # 2.5 MiB, of which one is free
        sender.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):  # what nobody reads fills the socket, not the memory
            sender.sock.sendall(message(7, run, (EVENTS, 1, os.urandom(8 << 20))))
        assert memory(here.pid) < held + (50 << 20)
    # the collector was killed in the middle of it
    assert not os.path.exists(here.home)


def memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_descriptors_that_are_sent_along_are_dropped_and_end_the_connection() -> None:
    with machine() as here, Raw(here.path) as sender:
        before = len(os.listdir(f"/proc/{here.pid}/fd"))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 20))]
        sender.sock.sendmsg([begin(1, os.urandom(16))], rights)
        assert sender.hear()[::3] == (NO, "descriptors were sent along")
        until(lambda: len(os.listdir(f"/proc/{here.pid}/fd")) == before - 1)


def test_a_child_that_writes_on_the_connection_of_its_parent_ends_it() -> None:
    with machine() as here, Raw(here.path) as sender:
        run = os.urandom(16)
        assert sender.say(begin(1, run))[0] == ACK
        child = here.fork(lambda: sender.sock.sendall(message(2, run, (EVENTS, 1, numbered(0)))))
        assert here.wait(child) == 0
        kind, _number, _values, reason = sender.hear()
        assert (kind, reason) == (NO, f"process {child} wrote on the connection of another")
        here.stop()
        assert [r.name for r in read(here.directory)] == ["sender", "start", "sender"]


def test_another_user_can_neither_reach_the_record_nor_be_somebody_else() -> None:
    """As root, the sender is user 65534. Otherwise he has our own uid: that the ledger's files
    are closed to others is then not tried, only that their modes say so."""
    root = os.geteuid() == 0
    user = 65534 if root else os.geteuid()
    with machine() as here, RemoteWriter(here.path) as victim:
        run = os.urandom(16)
        victim.append([(START, 1, packed({}))], run)

        def hostile() -> None:
            if root:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                for name in ("/ledger.blj", "/ledger.use", "/keys", "/checkpoint", "/new"):
                    for flags in (os.O_RDONLY, os.O_WRONLY):
                        with pytest.raises(PermissionError):
                            os.open(here.directory + name, flags)
                for act in (os.listdir, os.rmdir):
                    with pytest.raises(PermissionError):
                        act(here.directory)
                with pytest.raises(PermissionError):
                    os.rename(here.path, here.home + "/away")
            with Raw(here.path) as sender:
                claim = struct.pack("<3i", here.pid, 0, 0)
                what = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, claim)]
                with pytest.raises(PermissionError):
                    sender.sock.sendmsg([begin(1, os.urandom(16))], what)
            with Raw(here.path) as sender:
                assert sender.say(message(1, run, (EVENTS, 1, numbered(0))))[0] == NO
            with RemoteWriter(here.path) as sender:
                sender.append([(START, 1, packed({"pid": 1, "uid": 0}))], os.urandom(16))
                with pytest.raises(LedgerError, match="not one that this connection has open"):
                    sender.append([(EVENTS, 1, numbered(0))], run)

        child = here.fork(hostile)
        assert here.wait(child) == 0
        victim.append([(EVENTS, 1, numbered(0))], run)
        for name, mode in ((here.directory, 0o700), (here.directory + "/ledger.blj", 0o600)):
            assert os.stat(name).st_mode & 0o777 == mode
        here.stop()
        own = [s for s in here.senders() if s["pid"] == child]
        assert {(s["uid"], s["gid"]) for s in own} == {(user, 65534 if root else os.getegid())}
        assert len(own) == 3  # the fault without a run, the run, and its end by the fault
        assert [r.name for r in read(here.directory) if r.run == run] == [
            "sender", "start", "events", "sender",
        ]  # fmt: skip


def test_root_may_say_another_pid_and_it_helps_him_nothing() -> None:
    """The kernel lets root claim any process; the collector takes only who connected."""
    if os.geteuid() != 0:
        return  # nobody but root can try this
    with machine() as here, Raw(here.path) as sender:
        claim = struct.pack("<3i", here.pid, 0, 0)
        what = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, claim)]
        sender.sock.sendmsg([begin(1, os.urandom(16))], what)
        assert sender.hear()[::3] == (
            NO, f"process {here.pid} wrote on the connection of another",
        )  # fmt: skip
