"""Processes of one sandbox are told apart: by their channels, and by their parents."""

from __future__ import annotations

import os
import socket
import struct

import pytest

from belljar.errors import Unenforceable
from belljar.model import Policy
from belljar.sandbox.live import branching
from belljar.sandbox.live.branching import narrowed, shared_memory
from belljar.sandbox.live.processes import Process, is_beneath, number_inside
from belljar.watch.collect import Chunk, Collector
from belljar.watch.own import NOBODY, Own


def frames(*pids: int) -> bytes:
    pieces: list[bytes] = []
    counts: dict[int, int] = {}
    for number, pid in enumerate(pids):
        counts[pid] = counts.get(pid, 0) + 1
        body = bytes([number % 200]) * (number % 5 + 1)
        size = 32 + len(body)
        head = struct.pack("<HHBBHIIQQ", 0x4A42, size, 2, 1, 2, pid, pid, counts[pid], 0)
        pieces.append(head + body)
    return b"".join(pieces)


def speak(own: Own, *pids: int) -> None:
    """As the process does that it was offered to."""
    given = socket.socket(fileno=own.offer())
    with given:
        text, fds, _, _ = socket.recv_fds(given, 100, 3)
    assert text == b"belljar channel\x00100"
    try:
        assert os.write(fds[0], data := frames(*pids)) == len(data)
    finally:
        os.close(fds[0])


def test_what_comes_over_a_processes_channel_is_its_own_or_nobodys() -> None:
    with Collector() as collector:
        own = Own(collector)
        speak(own, 2, 2, 5, 2, 7, 7, 7, 2)
        chunks = own.drain(2)
        assert [(one.count, collector.events) for one in chunks] == [(4, 4)]
        for offset, length in chunks[0].flagged:
            frame = chunks[0].data[offset : offset + length]
            assert struct.unpack_from("<HH", frame) == (0x4A42, length)
            assert int.from_bytes(frame[8:12], "little") == 2
        assert len(chunks[0].flagged) == 4
        assert collector.forged == {2: 4}
        own.drain(2)
        assert own.ended
        own.close()
        told = [str(one) for one in collector.finish() if one.kind == "forged"]
    assert told == ["4 frames in the name of other processes came from process 2"]


def test_frames_in_many_names_cost_the_host_no_more_than_their_bytes() -> None:
    with Collector() as collector:
        data = frames(*(2, 3, 9) * 7000)
        chunks: list[Chunk] = []
        assert collector.take(data, chunks, 3) == b""
        assert [one.count for one in chunks] == [7000]
        assert collector.take(data, chunks, NOBODY) == b""
        assert len(chunks) == 1
        assert collector.forged == {3: 14000, NOBODY: 21000}
        assert {one.pid for one in collector.finish() if one.kind == "gap"} == {3}  # no hello


def test_a_process_is_known_by_its_parents_and_its_number() -> None:
    import os
    import subprocess

    with subprocess.Popen(["sleep", "100"]) as child:
        process = Process(child.pid)
        assert is_beneath(child.pid, os.getpid())
        assert not is_beneath(os.getpid(), child.pid)
        assert number_inside(child.pid) > 0
        assert not process.ended
        assert process.send(9)
        child.wait()
        assert process.ended
        assert process.send(9)  # long gone: nobody else gets it
    assert number_inside(child.pid) == 0


def test_memory_that_is_shared_is_found_where_it_is_mapped() -> None:
    import mmap
    import os

    with mmap.mmap(-1, 12288) as shared, mmap.mmap(-1, 12288, flags=mmap.MAP_PRIVATE) as own:
        assert len(own) == len(shared)
        assert 12288 in [size for _, size in shared_memory(os.getpid())]
    assert 12288 not in [size for _, size in shared_memory(os.getpid())]


@pytest.mark.parametrize(
    ("tier", "abi", "why"), [("landlock", 7, "PID namespace"), ("user", 5, "Landlock ABI 6")]
)
def test_where_branches_could_not_be_kept_apart_there_are_none(
    tier: str, abi: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = type("Facts", (), {"tier": tier, "abi": abi})
    monkeypatch.setattr(branching, "probe", lambda _cache: facts)
    with pytest.raises(Unenforceable, match=why):
        branching.check(Policy(), 1)
    assert branching.check(Policy(), 0) == 0


def test_limits_of_a_branch_are_texts_as_in_a_policy() -> None:
    limits = narrowed(Policy(), {"memory": "64M", "wall": "2s"}).limits
    assert (limits.memory, limits.wall, limits.cpu) == (64 << 20, 2.0, Policy().limits.cpu)
