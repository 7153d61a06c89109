"""The collector reads the pending page: hostile memory, each frame once, never waiting."""

from __future__ import annotations

import os
import stat
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belljar.watch.collect import Collector

HEADER = struct.Struct("<HHBBHIIQQ")


def frame(kind: int, pid: int, seq: int, flags: int = 0, body: bytes = b"\x90") -> bytes:
    head = HEADER.pack(0x4A42, HEADER.size + len(body), kind, flags, 1, pid, pid, seq, 0)
    return head + body


class Guest:
    """A process that owns the page of a collector."""

    def __init__(self, collector: Collector) -> None:
        self.fifo = os.open(collector.path, os.O_WRONLY)
        self.page = os.open(collector.page, os.O_RDWR)
        self.generation = 0
        self.data = b""

    def send(self, *frames: bytes) -> None:
        os.write(self.fifo, b"".join(frames))

    def pend(self, *frames: bytes) -> None:
        self.data += b"".join(frames)
        self._store()

    def flush(self, *frames: bytes) -> None:
        self.send(self.data, *frames)
        self.empty()

    def empty(self) -> None:
        self.generation += 1
        self.data = b""
        self._store()

    def _store(self) -> None:
        os.pwrite(self.page, self.data, 64)
        os.pwrite(self.page, (self.generation << 16 | len(self.data)).to_bytes(8, "little"), 8)

    def close(self) -> None:
        os.close(self.fifo)
        os.close(self.page)


@pytest.fixture
def collector():
    with Collector() as made:
        yield made


@pytest.fixture
def guest(collector):
    made = Guest(collector)
    yield made
    made.close()


def test_the_page_is_private_and_goes_with_the_collector():
    with Collector() as collector:
        found = os.stat(collector.page)
        assert (stat.S_IMODE(found.st_mode), found.st_size) == (0o600, 8192)
    assert not os.path.exists(collector.directory)


def test_what_pends_is_taken_only_when_nothing_else_came(collector, guest):
    guest.send(frame(1, 5, 0))
    guest.pend(frame(2, 5, 1))
    assert [c.data for c in collector.drain(idle=True)] == [frame(1, 5, 0)]
    assert collector.drain() == []
    (chunk,) = collector.drain(idle=True)
    assert (chunk.data, chunk.count) == (frame(2, 5, 1), 1)
    assert collector.drain(idle=True) == []


def test_what_was_taken_from_the_page_does_not_come_again(collector, guest):
    guest.send(frame(1, 5, 0))
    collector.drain()
    guest.pend(frame(2, 5, 1))
    collector.drain(idle=True)
    guest.pend(frame(2, 5, 2))
    (chunk,) = collector.drain(idle=True)
    assert chunk.data == frame(2, 5, 2)
    guest.pend(frame(2, 5, 3))
    other = frame(1, 6, 0) + frame(3, 6, 0)
    guest.send(other)
    guest.flush(frame(2, 5, 4, flags=1))
    (chunk,) = collector.drain(idle=True)
    assert chunk.data == other + frame(2, 5, 3) + frame(2, 5, 4, flags=1)
    guest.pend(frame(2, 5, 5))
    guest.flush(frame(3, 5, 5))
    collector.drain()
    assert collector.finish() == []
    assert collector.events == 5


def test_a_process_killed_between_writing_and_emptying_is_not_counted_twice(collector, guest):
    guest.send(frame(1, 5, 0))
    guest.pend(frame(2, 5, 1), frame(2, 5, 2))
    guest.send(guest.data, frame(2, 5, 3, flags=1))
    events = sum(chunk.count for chunk in collector.drain())
    assert (events, collector.drain(idle=True)) == (4, [])
    assert [f.kind for f in collector.finish()] == ["vanished"]


def test_the_same_after_a_part_was_taken(collector, guest):
    guest.send(frame(1, 5, 0))
    collector.drain()
    guest.pend(frame(2, 5, 1))
    collector.drain(idle=True)
    guest.pend(frame(2, 5, 2))
    guest.send(guest.data)
    assert [c.data for c in collector.drain()] == [frame(2, 5, 2)]
    assert collector.drain(idle=True) == []
    assert [f.kind for f in collector.finish()] == ["vanished"]


def test_what_pends_after_a_flood_is_cut_out_however_the_reads_fall(collector, guest):
    guest.send(frame(1, 5, 0))
    collector.drain()
    guest.pend(*(frame(2, 5, n) for n in range(1, 60)))
    collector.drain(idle=True)
    filler = frame(1, 6, 0) + frame(3, 6, 0)
    os.set_blocking(guest.fifo, False)
    sent = 0
    while True:
        try:
            sent += os.write(guest.fifo, filler * 60)
        except BlockingIOError:
            break
    first = collector.drain()
    guest.flush(frame(3, 5, 59))
    second = collector.drain()
    assert sum(c.count for c in first + second) == sent // len(filler) * 2 + 1
    assert collector.finish() == []


def test_a_page_cut_short_by_the_guest_takes_nobody_with_it(collector, guest):
    guest.send(frame(1, 5, 0))
    guest.pend(frame(2, 5, 1))
    collector.drain()
    os.ftruncate(guest.page, 64)
    assert collector.drain(idle=True) == []
    os.ftruncate(guest.page, 0)
    assert collector.drain(idle=True) == []
    guest.send(frame(3, 5, 0))
    collector.drain(idle=True)
    assert collector.finish() == []


def test_garbage_that_pends_is_a_finding_and_spares_the_channel(collector, guest):
    guest.send(frame(1, 5, 0), frame(2, 5, 1)[:40])  # half a frame waits for its rest
    collector.drain()
    guest.pend(b"\xff" * 10)
    assert collector.drain(idle=True) == []
    guest.send(frame(2, 5, 1)[40:] or b"", frame(3, 5, 1))
    collector.drain()
    kinds = {f.kind: f.first for f in collector.finish()}
    assert kinds.get("malformed", 0) >= 10


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1) | st.integers(0, 4200),
            st.binary(max_size=300)
            | st.builds(frame, st.integers(0, 4), st.integers(0, 3), st.integers(0, 5)),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_no_content_of_the_page_hurts_the_collector(steps):
    with Collector() as collector:
        guest = Guest(collector)
        for state, content, send in steps:
            os.pwrite(guest.page, content, 64)
            os.pwrite(guest.page, state.to_bytes(8, "little"), 8)
            if send and content:
                guest.send(content)
            for chunk in collector.drain(idle=True) + collector.drain(idle=True):
                assert chunk.count > 0
        guest.close()
        assert isinstance(collector.finish(), list)
