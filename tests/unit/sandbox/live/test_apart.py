"""Frames of several processes are told apart, whole and in order."""

from __future__ import annotations

import struct

import pytest

from belljar.errors import Unenforceable
from belljar.model import Policy
from belljar.sandbox.live import branching
from belljar.sandbox.live.branching import narrowed, shared_memory
from belljar.sandbox.live.family import apart
from belljar.sandbox.live.processes import Process, is_beneath, number_inside
from belljar.watch.collect import Chunk


def frames(*pids: int) -> Chunk:
    pieces: list[bytes] = []
    flagged = []
    at = 0
    for seq, pid in enumerate(pids, 1):
        body = bytes([seq % 200]) * (seq % 5)
        head = struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(body), 2, 1, 2, pid, pid, seq, 0)
        flagged.append((at, 32 + len(body)))
        pieces.append(head + body)
        at += 32 + len(body)
    return Chunk(b"".join(pieces), len(pids), tuple(flagged))


def test_each_process_gets_its_own_frames_in_order() -> None:
    whole = frames(2, 2, 5, 2, 7, 7, 7)
    parts = list(apart(whole, {2, 5, 7}))
    assert [(number, part.count) for number, part in parts] == [(2, 2), (5, 1), (2, 1), (7, 3)]
    assert b"".join(part.data for _, part in parts) == whole.data
    check(parts)
    parts = list(apart(whole, {2}))
    assert [(number, part.count) for number, part in parts] == [(2, 2), (0, 1), (2, 1), (0, 3)]
    assert list(apart(Chunk(b"", 0, ()), {2})) == []


def check(parts: list[tuple[int, Chunk]]) -> None:
    for number, part in parts:
        assert len(part.flagged) == part.count
        for offset, length in part.flagged:
            frame = part.data[offset : offset + length]
            assert struct.unpack_from("<HH", frame) == (0x4A42, length)
            assert int.from_bytes(frame[8:12], "little") == number


def test_processes_that_alternate_all_the_time_are_a_part_each() -> None:
    whole = frames(*(2, 3, 9) * 7000)
    parts = list(apart(whole, {2, 3}))
    assert [(number, part.count) for number, part in parts] == [(0, 7000), (2, 7000), (3, 7000)]
    check(parts[1:])
    numbers = [
        int.from_bytes(parts[1][1].data[at + 16 : at + 24], "little")
        for at, _ in parts[1][1].flagged
    ]
    assert numbers == sorted(numbers)


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
