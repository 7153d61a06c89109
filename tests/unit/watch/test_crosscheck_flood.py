"""The matcher's own state: bounded whatever comes, and right about processes that change."""

from __future__ import annotations

import struct

from belljar._native import pack
from belljar.watch.collect import Chunk
from belljar.watch.crosscheck import CrossCheck

HELLO, EVENT, SYSCALL = 1, 2, 5


class Channel:
    """Makes frames as the tracer and the recorder do, in order of time."""

    def __init__(self):
        self.check = CrossCheck()
        self._now = self._seq = 0
        self.call("begin", 1, number=2, path=b"/d/channel")
        self.call("execve", 2, ppid=1, path=b"/usr/bin/python3")

    def _send(self, kind, body, pid, thread, seq=0, flags=0):
        self._now += 1
        size = 32 + len(body)
        head = struct.pack(
            "<HHBBHIIQQ", 0x4A42, size, kind, flags, 2, pid, thread or pid, seq, self._now
        )
        self.check.take(Chunk(head + body, 1, ()))

    def hello(self, pid, flags=0):
        self._send(HELLO, pack(["3.11", 1, [], "/", 0]), pid, pid, flags=flags)

    def event(self, pid, name, *args, thread=0):
        self._send(EVENT, pack([name, list(args), ["p.py", 3, "f"], "/w"]), pid, thread, 1)

    def call(self, name, pid, *, path=None, number=0, ppid=1, start=5, thread=0):
        self._seq += 1
        body = pack([name, start, ppid, number, path, None])
        self._send(SYSCALL, body, pid, thread, self._seq)

    def report(self):
        return self.check.report()


def row(coverage, kind):
    (found,) = [row for row in coverage.rows if row.kind == kind]
    return found


def test_memory_does_not_grow_with_what_is_reported():
    channel = Channel()
    channel.hello(2)
    channel.event(2, "compile", None, "<x>")
    for n in range(5000):
        channel.call("openat", 2, path=b"/secret/%d" % n)
    coverage = channel.report()
    assert len(coverage.unexplained) == 2000
    assert coverage.more == 3000
    assert row(coverage, "open").unexplained == 5000


def test_memory_does_not_grow_with_processes_and_threads():
    channel = Channel()
    for n in range(6000):
        channel.call("openat", 10 + n, path=b"/x", thread=10 + n, ppid=2)
    channel.hello(2)
    for n in range(5000):
        channel.event(2, "open", "/x", "r", 0, thread=10000 + n)
        channel.call("openat", 2, path=b"/x", thread=10000 + n)
    while channel.check.work():
        continue
    assert len(channel.check._processes) <= 4096
    assert len(channel.check._processes[2].threads) <= 4096
    coverage = channel.report()
    assert row(coverage, "open").explained == 5000
    assert "more processes than the cross-check can follow" in map(str, channel.check.findings)


def test_calls_wait_for_their_threads_next_event_and_no_longer():
    channel = Channel()
    channel.hello(2)
    channel.event(2, "compile", None, "<x>")
    for _ in range(5):
        channel.call("openat", 2, path=b"/etc/hosts")
    channel.event(2, "socket.connect", None, ["name", 80])
    assert row(channel.report(), "open").explained == 5, "resolving comes before its event"


def test_an_exec_that_failed_leaves_the_python_that_tried_it():
    channel = Channel()
    channel.hello(2)
    channel.event(2, "os.exec", "/no/such", [], None)
    channel.call("execve", 2, path=b"/no/such")
    channel.event(2, "open", "/x", "r", 0)
    channel.call("openat", 2, path=b"/x")
    channel.call("openat", 2, path=b"/y")
    coverage = channel.report()
    assert (row(coverage, "open").explained, row(coverage, "open").unexplained) == (1, 1)
    assert row(coverage, "exec").explained == 1


def test_a_number_that_is_given_again_is_another_process():
    channel = Channel()
    channel.hello(2)
    channel.event(2, "open", "/x", "r", 0)
    channel.call("execve", 9, path=b"/bin/a", ppid=1, start=7)
    channel.call("openat", 9, path=b"/a", ppid=1, start=7)
    channel.call("execve", 9, path=b"/bin/b", ppid=1, start=8)
    channel.call("openat", 9, path=b"/b", ppid=1, start=8)
    assert {group.target for group in channel.report().unexplained} >= {"/bin/a", "/bin/b"}


def test_a_forked_python_is_not_excused_as_starting_up():
    channel = Channel()
    channel.hello(2)
    channel.event(2, "os.fork")
    channel.hello(3, flags=8)
    channel.call("openat", 3, path=b"/etc/shadow", ppid=2)
    (group,) = channel.report().unexplained
    assert (group.target, group.last, group.elsewhere) == ("/etc/shadow", "os.fork", True)


def test_a_lost_frame_and_a_missing_end_are_findings():
    channel = Channel()
    channel._seq += 1
    channel.call("openat", 2, path=b"/x")
    channel.report()
    found = [str(finding) for finding in channel.check.findings]
    assert found[0].startswith("the cross-check's frame 3 was due where 4 came")
    assert found[1] == "the cross-check's supervisor was killed: what followed was not seen"
