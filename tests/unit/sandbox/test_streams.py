"""The guest's streams: what it is given, and output that waits for nobody for ever."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from belljar.errors import PolicyError
from belljar.model import Policy
from belljar.sandbox.streams import Streams, pass_on


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    """[read end, write end]; a test that closes one takes it out."""
    ends = list(os.pipe())
    yield ends
    for fd in ends:
        os.close(fd)


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def test_everything_is_passed_on(pipe: list[int]) -> None:
    read, write = pipe
    data = os.urandom(300_000)
    got = bytearray()

    def drain() -> None:
        while len(got) < len(data):
            got.extend(os.read(read, 10_000))

    reader = threading.Thread(target=drain)
    reader.start()
    assert pass_on(write, data, soon())
    reader.join(5)
    assert bytes(got) == data


def test_a_reader_that_is_too_slow_is_given_up(pipe: list[int]) -> None:
    _, write = pipe
    began = time.monotonic()
    assert not pass_on(write, bytes(1 << 20), soon(0.05))
    assert time.monotonic() - began < 2


def test_after_the_deadline_nothing_is_written(pipe: list[int]) -> None:
    read, write = pipe
    assert not pass_on(write, b"late", time.monotonic() - 1)
    os.set_blocking(read, False)
    with pytest.raises(BlockingIOError):
        os.read(read, 4)


def test_no_data_needs_no_reader(pipe: list[int]) -> None:
    assert pass_on(pipe[1], b"", time.monotonic() - 1)


def test_a_reader_that_is_gone_is_a_broken_pipe(pipe: list[int]) -> None:
    os.close(pipe.pop(0))
    with pytest.raises(BrokenPipeError):
        pass_on(pipe[0], b"x", soon())


def opened() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_by_default_input_is_empty_and_output_captured() -> None:
    before = opened()
    streams = Streams(Policy())
    assert os.read(streams.given[0], 1) == b""
    os.write(streams.given[1], b"out")
    os.write(streams.given[2], b"err")
    assert {number: os.read(fd, 9) for fd, number in streams.pipes.items()} == {
        1: b"out", 2: b"err",
    }  # fmt: skip
    streams.handed_over()
    for fd in streams.pipes:
        assert os.read(fd, 1) == b""  # the guest's end was ours alone
    streams.close()
    assert opened() == before


def test_inherited_output_is_the_hosts_own() -> None:
    streams = Streams(Policy(stdout="inherit", stderr="inherit"))
    assert (streams.given[1:], streams.pipes) == ((1, 2), {})
    streams.close()


def test_inherited_input_can_only_be_read(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("question")
    kept, both = os.dup(0), os.open(tmp_path / "in", os.O_RDWR)
    os.dup2(both, 0)
    try:
        streams = Streams(Policy(stdin="inherit"))
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(both)
    assert os.read(streams.given[0], 99) == b"question"
    with pytest.raises(OSError, match=r"Bad file descriptor"):
        os.write(streams.given[0], b"past the cap")
    streams.close()


def test_files_are_opened_by_the_host(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("question")
    (tmp_path / "out").write_text("an older answer")
    streams = Streams(Policy(stdin=f"{tmp_path}/in", stdout=f"{tmp_path}/out"))
    assert os.read(streams.given[0], 99) == b"question"
    os.write(streams.given[1], b"answer")
    (read, number), *_ = streams.pipes.items()
    assert (number, os.read(read, 99)) == (1, b"answer")  # counted, then written by the host
    os.write(streams.files[1], b"answer")
    streams.close()
    assert (tmp_path / "out").read_text() == "answer"


def test_a_file_that_cannot_be_opened_is_told_with_its_place_and_nothing_leaks(
    tmp_path: Path,
) -> None:
    before = opened()
    policy = Policy(
        stdout="capture", stderr=f"{tmp_path}/none/x", given=(("process.stderr", "policy.toml:9"),)
    )
    with pytest.raises(PolicyError) as caught:
        Streams(policy)
    assert str(caught.value) == (
        f"policy.toml:9: stderr = {tmp_path}/none/x: No such file or directory"
    )
    assert opened() == before
