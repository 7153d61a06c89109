"""One collector, many senders: everything acknowledged is there once and in order."""

from __future__ import annotations

import errno
import os
import struct
import time

import pytest
from tests.unit.ledger.collecting import LONG, Raw, begin, machine, message, numbered, until
from tests.unit.ledger.conftest import packed

from belljar.ledger import END, EVENTS, START
from belljar.ledger.collect.remote import RemoteWriter
from belljar.ledger.collect.shares import Limits
from belljar.ledger.collect.wire import ACK, NO
from belljar.ledger.reader import read, verify

PROCESSES, APPENDS = (200, 50) if LONG else (200, 6)
ACKNOWLEDGED = struct.Struct("<16sQQ")


def send(path: str, acks: int) -> None:
    """Appends, one after the other; each one acknowledged is noted after the fact."""
    run = os.urandom(16)
    with RemoteWriter(path, deadline=20) as writer:
        writer.append([(START, 1, packed({"pid": os.getpid()}))], run)
        for index in range(APPENDS):
            filler = (0, 300, 60_000)[index % 3]
            number = writer.append([(EVENTS, 1, numbered(index, filler))], run)[0]
            os.write(acks, ACKNOWLEDGED.pack(run, index, number))
        writer.append([(END, 1, packed({"status": 0}))], run)


def test_everything_that_many_processes_at_once_were_acknowledged_is_there_once_and_in_order() -> (
    None
):
    with machine() as here:
        acks = os.open(here.home + "/acks", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        began = time.monotonic()
        children = [here.fork(lambda: send(here.path, acks)) for _ in range(PROCESSES)]
        assert {here.wait(child) for child in children} == {0}
        seconds = time.monotonic() - began
        here.stop()
        report = verify(here.directory)
        assert (report.runs, report.unfinished, report.torn) == (PROCESSES, (), 0)
        there: dict[bytes, list[tuple[int, int]]] = {}
        for record in read(here.directory):
            if record.kind == EVENTS:
                index = struct.unpack_from("<Q", record.payload, 16)[0]
                there.setdefault(record.run, []).append((index, record.first))
        os.lseek(acks, 0, os.SEEK_SET)
        told: dict[bytes, list[tuple[int, int]]] = {}
        while note := os.read(acks, ACKNOWLEDGED.size):
            run, index, number = ACKNOWLEDGED.unpack(note)
            told.setdefault(run, []).append((index, number))
        os.close(acks)
        assert there == told
        assert {tuple(i for i, _ in found) for found in there.values()} == {tuple(range(APPENDS))}
        who = here.senders()
        assert {s["pid"] for s in who} == set(children)
        assert len({s["run"] for s in who}) == len(who) == PROCESSES
    print(f"{PROCESSES} processes, {PROCESSES * (APPENDS + 2)} appends in {seconds:.2f} s")


def test_a_sender_record_stands_before_a_run_and_says_what_the_kernel_says() -> None:
    with machine() as here:
        run = os.urandom(16)
        with RemoteWriter(here.path) as writer:
            numbers = writer.append([(START, 1, packed({"pid": 1, "uid": 12345}))], run)
            assert writer.append([(EVENTS, 1, numbered(0))], run) == [numbers[0] + 1]
        here.stop()
        kinds = [(r.name, r.run == run) for r in read(here.directory)]
        assert kinds == [("sender", True), ("start", True), ("events", True), ("sender", True)]
        first, last = here.senders()
        assert (first["pid"], first["uid"], first["gid"]) == (
            os.getpid(), os.geteuid(), os.getegid(),
        )  # fmt: skip
        assert first["by"] in ("pidfd", "pid")
        assert first["executable"] == os.readlink("/proc/self/exe")
        with open("/proc/self/stat") as file:
            assert first["start"] == int(file.read().rpartition(")")[2].split()[19])
        assert last == {**first, "ended": "closed"}


def test_a_run_that_is_open_when_its_sender_is_killed_is_told_so() -> None:
    with machine() as here:
        run = os.urandom(16)

        def work() -> None:
            writer = RemoteWriter(here.path)
            writer.append([(START, 1, packed({}))], run)
            os.kill(os.getpid(), 9)

        child = here.fork(work)
        assert here.wait(child) == -9
        here.stop()
        assert [(s["pid"], s.get("ended")) for s in here.senders() if s["run"] == run] == [
            (child, None), (child, "closed"),
        ]  # fmt: skip


def test_nobody_appends_to_the_run_of_another_whether_it_is_open_or_not() -> None:
    with machine() as here:
        mine, ended = os.urandom(16), os.urandom(16)
        with RemoteWriter(here.path) as writer:
            writer.append([(START, 1, packed({}))], mine)
            writer.append([(START, 1, packed({})), (END, 1, packed({}))], ended)
            for run in (mine, ended):
                for forged in (message(1, run, (EVENTS, 1, numbered(0))), begin(1, run)):
                    with Raw(here.path) as other:
                        kind, number, _values, reason = other.say(forged)
                        assert (kind, number) == (NO, 0)
                        assert run.hex() in reason
                        assert other.hear()[0] == 0
            writer.append([(EVENTS, 1, numbered(1))], mine)
        assert here.kill(here.pid) == -9
        here.start()  # another collector has the same memory: the ledger
        for run in (mine, ended):
            with Raw(here.path) as other:
                assert other.say(begin(1, run))[:2] == (NO, 0)
        here.stop()
        counts = [r.name for r in read(here.directory) if r.run == mine and r.name != "sender"]
        assert counts == ["start", "events"]


@pytest.mark.parametrize(
    ("sync", "answers"),
    [("always", [NO, NO, NO]), ("batch", [ACK, ACK, NO]), ("never", [ACK, ACK, ACK])],
)
def test_what_must_be_on_disk_is_not_acknowledged_before(sync: str, answers: list[int]) -> None:
    """The disk of this collector takes nothing: START, EVENTS and END say who waited for it."""

    def broken(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def before() -> None:
        os.fdatasync = broken

    with machine(before=before, sync=sync) as here, Raw(here.path) as sender:
        run = os.urandom(16)
        events, end = (EVENTS, 1, numbered(0)), (END, 1, packed({}))
        if sync == "always":  # each of them in a run that begins with it
            said = [begin(n, os.urandom(16)) for n in (1, 2, 3)]
        else:
            said = [begin(1, run), message(2, run, events), message(3, run, end)]
        heard = [sender.say(one) for one in said]
        assert [kind for kind, *_ in heard] == answers
        assert all("bring to disk" in reason for kind, *_, reason in heard if kind == NO)


def test_a_clock_that_jumps_moves_nothing_but_the_times_that_records_carry() -> None:
    day = 86_400 * 10**9
    jumps = [10**18, 10**18 + 400 * day, 5, 10**18 - 7 * day, 1 << 62, 0]
    with machine(wall=lambda: jumps.pop(0)) as here:
        run = os.urandom(16)
        with RemoteWriter(here.path, deadline=5) as writer:
            writer.append([(START, 1, packed({}))], run)
            for index in range(4):
                writer.append([(EVENTS, 1, numbered(index))], run)
            writer.append([(END, 1, packed({}))], run)
        here.stop()
        report = verify(here.directory)
        assert (report.torn, report.unfinished) == (0, ())
        times = [r.time for r in read(here.directory) if r.run == run]
        assert times == [10**18, 10**18, 10**18 + 400 * day, 5, 10**18 - 7 * day, 1 << 62, 0]


def test_a_full_disk_is_said_and_what_fits_is_recorded_again() -> None:
    import resource

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    with machine(before=small) as here, Raw(here.path) as sender:
        run = os.urandom(16)
        assert sender.say(begin(1, run))[0] == ACK
        kind, number, _values, reason = sender.say(
            message(2, run, (EVENTS, 1, numbered(0, 60_000)), (EVENTS, 1, numbered(1, 60_000)))
        )
        assert (kind, number) == (NO, 2)
        assert "File too large" in reason
        other = os.urandom(16)
        huge = (START, 1, packed({"x": "y" * 120_000}))
        assert sender.say(message(3, other, huge))[:2] == (NO, 3)
        assert sender.say(begin(4, other))[0] == ACK  # it was not begun before
        assert sender.say(message(5, run, (EVENTS, 1, numbered(2))))[0] == ACK
        here.stop()
        assert verify(here.directory).torn == 0
        assert [r.name for r in read(here.directory) if r.run == run] == [
            "sender", "start", "events", "sender",
        ]  # fmt: skip


def test_what_was_sent_before_the_collector_is_told_to_stop_is_recorded() -> None:
    with machine() as here, Raw(here.path) as sender:
        run = os.urandom(16)
        assert sender.say(begin(1, run))[0] == ACK
        os.kill(here.pid, 19)
        sender.sock.sendall(message(2, run, (EVENTS, 1, numbered(0))))
        os.kill(here.pid, 15)
        os.kill(here.pid, 18)
        assert sender.hear()[0] == ACK
        assert here.wait(here.pid) == 0
        assert here.senders()[-1]["ended"] == "the collector stopped"


def test_messages_sent_ahead_are_recorded_in_order_and_each_is_acknowledged() -> None:
    with machine() as here, Raw(here.path) as sender:
        run = os.urandom(16)
        many = [begin(1, run)]
        many += [message(n, run, (EVENTS, 1, numbered(n))) for n in range(2, 600)]
        sender.sock.sendall(b"".join(many))
        heard = [sender.hear() for _ in many]
        assert [(kind, number) for kind, number, *_ in heard] == [(ACK, n) for n in range(1, 600)]
        firsts = [values[0] for _kind, _number, values, _reason in heard]
        assert firsts == list(range(2, 601))
        here.stop()
        assert verify(here.directory).records == 601


def test_a_user_has_half_of_the_connections_at_most() -> None:
    with machine(limits=Limits(connections=4)) as here:
        senders = [Raw(here.path) for _ in range(3)]
        assert "too many connections" in senders[2].greeted[1]
        senders[0].sock.close()

        def room() -> bool:
            with Raw(here.path) as another:
                return not another.greeted[1]

        until(room)
        for sender in senders:
            sender.sock.close()


def test_a_message_in_pieces_of_any_size_is_the_same_message() -> None:
    import random

    chance = random.Random(4)
    with machine() as here, Raw(here.path) as sender:
        run = os.urandom(16)
        data = begin(1, run) + message(2, run, (EVENTS, 2, numbered(0, 9_000) * 2))
        data += message(3, run, (EVENTS, 2, numbered(1, 40_000) * 2))
        while data:
            size = chance.choice((1, 3, 20, 700, 20_000))
            sender.sock.sendall(data[:size])
            data = data[size:]
        assert [sender.hear()[0] for _ in range(3)] == [ACK] * 3
        here.stop()
        found = [r.payload for r in read(here.directory) if r.kind == EVENTS]
        assert found == [numbered(0, 9_000) * 2, numbered(1, 40_000) * 2]
