"""A live guest's clocks: each call has its own, and what runs between calls is not free."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from belljar.model import Limits
from belljar.sandbox.live.clocks import Clocks, seconds_beneath

SPIN = "import os\nif {fork}:\n    if os.fork(): os.wait()\nwhile True: pass"


@pytest.fixture
def spinning() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", SPIN.format(fork=False)]) as process:
        yield process
        process.kill()


def used(clocks: Clocks, seconds: float) -> None:
    until = time.monotonic() + 60
    start = clocks.used()
    while clocks.used() - start < seconds:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_clock_is_that_of_the_process(spinning: subprocess.Popen[bytes]) -> None:
    clocks = Clocks(spinning.pid, Limits(cpu=0.2), None)
    used(clocks, 0.05)
    spinning.kill()
    spinning.wait()
    last = clocks.used()
    assert last > 0.05  # it stands when the process is gone


def test_each_call_has_its_own_time(spinning: subprocess.Popen[bytes]) -> None:
    clocks = Clocks(spinning.pid, Limits(cpu=0.2), None)
    for _ in range(3):
        clocks.begin(time.monotonic() + 60)
        assert clocks.in_call
        assert clocks.over(time.monotonic()) == ""
        used(clocks, 0.11)
        assert clocks.end() > 0.1
    assert not clocks.in_call
    used(clocks, 0.21)  # between calls, too
    assert clocks.over(time.monotonic()) == "cpu"


def test_the_wall_counts_in_a_call_alone(spinning: subprocess.Popen[bytes]) -> None:
    clocks = Clocks(spinning.pid, Limits(), None)
    assert clocks.over(time.monotonic() + 10**6) == ""
    clocks.begin(time.monotonic() + 5)
    assert clocks.over(time.monotonic()) == ""
    assert clocks.over(time.monotonic() + 6) == "wall"
    clocks.end()
    assert clocks.over(time.monotonic() + 6) == ""


def test_processes_that_it_starts_count() -> None:
    inner = SPIN.format(fork=True)
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with subprocess.Popen([sys.executable, "-c", code]) as keeper:
        until = time.monotonic() + 60
        while (seconds := seconds_beneath(keeper.pid)) < 0.3:
            assert time.monotonic() < until
            time.sleep(0.02)
        children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()
        more = Path(f"/proc/{children[0]}/task/{children[0]}/children").read_text().split()
        for pid in (*children, *more):
            subprocess.run(["kill", "-9", pid], check=True)
        keeper.wait()
    assert seconds >= 0.3
    assert seconds_beneath(keeper.pid) == 0
