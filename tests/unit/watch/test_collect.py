"""The collector counts every frame, notices what is missing, and leaves nothing behind."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys

import pytest

from belljar._native import pack
from belljar.watch.collect import Collector
from belljar.watch.findings import Finding

HEADER = struct.Struct("<HHBBHIIQQ")


def frame(kind: int, pid: int, seq: int, flags: int = 0, body: bytes = b"\x90") -> bytes:
    version = 2 if kind > 3 else 1
    size = HEADER.size + len(body)
    head = HEADER.pack(0x4A42, size, kind, flags, version, pid, pid, seq, 0)
    return head + body


@pytest.fixture
def collector():
    with Collector() as made:
        yield made


@pytest.fixture
def send(collector):
    fd = os.open(collector.path, os.O_WRONLY)
    yield lambda *frames: os.write(fd, b"".join(frames))
    os.close(fd)


def test_frames_come_whole_and_in_order(collector, send):
    frames = [frame(1, 5, 0), frame(2, 5, 1, flags=1), frame(2, 5, 2), frame(3, 5, 2)]
    send(*frames)
    (chunk,) = collector.drain()
    assert chunk.data == b"".join(frames)
    assert (chunk.count, chunk.flagged) == (4, ((0, 33), (33, 33), (99, 33)))
    assert (collector.frames, collector.events, collector.drops) == (4, 2, 0)
    assert collector.finish() == []
    assert collector.drain() == []


def test_a_frame_that_comes_in_two_reads_is_put_together(collector, send):
    whole = frame(1, 5, 0) + frame(2, 5, 1)
    send(whole[:40])
    (first,) = collector.drain()
    send(whole[40:])
    (second,) = collector.drain()
    assert first.data + second.data == whole
    assert second.count == 1


def test_a_missing_number_is_a_finding(collector, send):
    send(frame(1, 5, 0), frame(2, 5, 1), frame(2, 5, 4), frame(3, 5, 4))
    collector.drain()
    assert collector.finish() == [Finding("gap", 5, 2, 3)]
    assert str(collector.findings[0]) == "events 2 to 3 of process 5 are missing"


def test_a_repeated_number_is_a_finding(collector, send):
    send(frame(1, 5, 0), frame(2, 5, 1), frame(2, 5, 1), frame(3, 5, 1))
    collector.drain()
    assert collector.finish() == [Finding("order", 5, 2, 1)]


def test_a_process_without_a_farewell_has_vanished_unless_it_still_runs(collector, send):
    send(frame(1, 5, 0), frame(2, 5, 1), frame(1, 6, 0))
    collector.drain()
    assert collector.finish(lambda pid: pid == 6) == [
        Finding("vanished", 5, 1),
        Finding("running", 6, 0),
    ]


def test_an_event_after_the_farewell_of_a_failed_exec_needs_another_farewell(collector, send):
    send(frame(1, 5, 0), frame(3, 5, 0), frame(2, 5, 1))
    collector.drain()
    assert [finding.kind for finding in collector.finish()] == ["vanished"]
    send(frame(3, 5, 1))
    collector.drain()
    assert collector.finish() == []


def test_a_second_hello_without_farewell_between_is_told(collector, send):
    send(frame(1, 5, 0), frame(1, 5, 0), frame(3, 5, 0), frame(1, 5, 0), frame(3, 5, 0))
    collector.drain()
    assert [str(finding) for finding in collector.finish()] == [
        "process 5 was replaced without a farewell"
    ]


@pytest.mark.parametrize(
    ("body", "drops"), [(b"\x91\x00", 0), (b"\x91\x07", 7), (b"\x91\xcd\x01\x00", 256)]
)
def test_a_process_tells_what_it_lost(collector, send, body, drops):
    send(frame(1, 5, 0), frame(3, 5, 0, body=body))
    collector.drain()
    assert collector.drops == drops
    assert collector.finish() == ([Finding("drops", 5, drops)] if drops else [])


def test_losses_are_counted_once_though_the_farewell_tells_them_again(collector, send):
    send(frame(1, 5, 0), frame(2, 5, 1), frame(4, 5, 4, body=b"\x91\x03"), frame(2, 5, 5))
    send(frame(4, 5, 7, body=b"\x91\x02"), frame(3, 5, 7, body=b"\x91\x05"))
    send(frame(1, 5, 0), frame(4, 5, 1, body=b"\x91\x01"), frame(3, 5, 1, body=b"\x91\x04"))
    collector.drain()
    assert (collector.events, collector.frames, collector.drops) == (2, 9, 9)
    assert collector.finish() == [Finding("drops", 5, 9)]


def test_no_invented_count_is_too_large_to_be_written_down(collector, send):
    most = b"\x91\xcf" + b"\xff" * 8
    top = 2**64 - 1
    send(*(frame(kind, pid, top, body=most) for pid in (5, 6) for kind in (1, 4, 4, 2, 2, 3)))
    collector.drain()
    found = collector.finish()
    assert collector.drops == 2**63 - 1
    assert pack([collector.drops, [one.plain() for one in found]])


def test_traced_system_calls_are_neither_events_nor_part_of_the_numbering(collector, send):
    send(frame(1, 5, 0), frame(5, 5, 77), frame(2, 5, 1), frame(5, 6, 0), frame(3, 5, 1))
    (chunk,) = collector.drain()
    assert (collector.events, chunk.count, len(chunk.flagged)) == (1, 5, 4)
    assert collector.finish() == []


def test_bytes_that_are_no_frames_are_counted_and_skipped(collector, send):
    good = frame(1, 5, 0)
    send(good, b"BJgarbageBJ" + b"\xff" * 40, frame(2, 5, 1), frame(3, 5, 1), b"BJ")
    chunks = collector.drain()
    assert [chunk.count for chunk in chunks] == [1, 2]
    assert collector.finish() == [Finding("malformed", 0, 53)]


def test_a_flood_of_processes_stays_bounded_and_is_told(collector, send):
    for start in range(0, 70_000, 1000):
        send(*(frame(1, pid, 0) for pid in range(start, start + 1000)))
        collector.drain()
    assert collector.findings[0].kind == "flood"
    assert len(collector.finish()) < 5000


def test_a_flood_of_findings_stays_bounded_and_is_told(collector, send):
    send(*(frame(2, 5, 7) for _ in range(5000)))
    collector.drain()
    assert len(collector.findings) == 1000
    assert str(collector.finish()[-1]) == "4000 more findings were not kept"


def test_only_the_owner_can_reach_the_channel_and_nothing_stays_behind():
    with Collector() as collector:
        assert not os.path.exists(collector.directory + "/answers")  # nobody asked for it
        given = [collector.path, collector.page, collector.answers, collector.settings("x")]
        assert stat.S_IMODE(os.stat(collector.directory).st_mode) == 0o700
        assert {stat.S_IMODE(os.stat(path).st_mode) for path in given} == {0o600}
    assert not os.path.exists(collector.directory)
    collector.close()


def test_it_costs_next_to_nothing_to_import():
    slow = "typing dataclasses enum re json collections functools argparse pathlib logging msgspec"
    code = (
        "import sys, belljar.watch.collect, belljar.watch.attach, belljar.watch.run\n"
        f"print([name for name in {slow.split()} if name in sys.modules])\n"
    )
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.check_output([sys.executable, "-S", "-c", code], env=env, text=True)
    assert out == "[]\n"


def test_what_a_killed_collector_left_is_removed_and_a_living_one_is_spared(tmp_path):
    def aged(path):
        os.utime(path, (1, 1))
        return path

    with Collector(str(tmp_path)) as alive:
        aged(alive.directory)
        with Collector(str(tmp_path)) as other:
            left = tmp_path / ("belljar-" + "0" * 18)
            left.mkdir(0o700)
            os.mkfifo(left / "channel")
            (left / "window").write_text("x")
            aged(left)
            young = tmp_path / ("belljar-" + "1" * 18)
            young.mkdir(0o700)
            os.mkfifo(young / "channel")
            shared = tmp_path / ("belljar-" + "2" * 18)
            shared.mkdir()
            shared.chmod(0o755)
            aged(shared)
        assert not os.path.exists(other.directory)
        assert not left.exists()
        assert young.exists()
        assert shared.exists()
        assert os.path.exists(alive.path)
