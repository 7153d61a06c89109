"""A live guest's clocks: each call has its own, and what runs between calls is not free."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from belljar.model import Limits
from belljar.sandbox.live import clocks as module
from belljar.sandbox.live.clocks import Clocks, seconds_beneath
from belljar.sandbox.live.processes import Process

SPIN = "import os\nif {fork}:\n    if os.fork(): os.wait()\nwhile True: pass"


@pytest.fixture(autouse=True)
def no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks of this process would fence it in, and end a test run that has used as much before."""
    unlimited = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "prlimit", lambda *_: unlimited)


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


@pytest.mark.parametrize(("share", "ends"), [(0.08, False), (0.3, True)])
def test_what_is_used_between_calls_counts_together(
    monkeypatch: pytest.MonkeyPatch, share: float, ends: bool
) -> None:
    """A thread that spins on is found, however short and many the calls beside it; one that looks
    at something now and then is not."""
    now, spent = 1000.0, 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr("time.clock_gettime", lambda _clock: spent)
    clocks = Clocks(os.getpid(), Limits(cpu=0.5), None)
    found = ""
    for _ in range(1000):
        now, spent = now + 0.05, spent + 0.05 * share
        found = found or clocks.over(now)
        clocks.begin(now + 60)
        now, spent = now + 0.01, spent + 0.01
        found = found or clocks.over(now)
        clocks.end()
    assert found == ("cpu" if ends else "")


def test_what_processes_use_counts_whenever_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that spins while calls come and go faster than the host looks."""
    now, beneath = 1000.0, 5.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr("time.clock_gettime", lambda _clock: 0.0)
    monkeypatch.setattr(module, "parent_of", lambda _pid: 1)
    monkeypatch.setattr(module, "seconds_beneath", lambda _pid, _tasks: beneath)
    clocks = Clocks(os.getpid(), Limits(cpu=0.5, processes=4), None)
    found = []
    for _ in range(100):
        now, beneath = now + 0.04, beneath + 0.04
        clocks.begin(now + 60)
        now, beneath = now + 0.01, beneath + 0.01
        clocks.end()
        found.append(clocks.over(now))
    assert found[5:7] == ["", ""]
    assert found[-1] == "cpu"
    clocks.begin(now + 60)
    beneath -= 50  # one that nobody waited for has ended: its time is lost, and nobody gains
    assert clocks.end() == 0
    assert clocks.over(now) == "cpu"


def test_what_its_own_sandboxes_use_counts(spinning: subprocess.Popen[bytes]) -> None:
    clocks = Clocks(os.getpid(), Limits(cpu=1000.0), None)
    inner = Clocks(spinning.pid, Limits(), None)
    before = clocks.used()
    clocks.charge(inner)
    used(inner, 0.2)
    assert clocks.used() - before > 0.2
    spinning.kill()
    spinning.wait()
    inner.ended(5.0)
    assert clocks.used() - before > 5
    assert inner.used() == 5.0  # whoever has its number now
    clocks.charge(Clocks(os.getpid(), Limits(), None))  # the former one is no longer asked
    assert clocks.used() - before > 5


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


def test_limits_of_a_process_that_has_only_the_number_are_left_alone(
    spinning: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guest has ended, its number is a foreign process's."""
    asked: list[tuple[int, ...]] = []
    unlimited = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "prlimit", lambda *args: asked.append(args) or unlimited)
    Clocks(1, Limits(cpu=0.2), None)._raise_fence(5.0)  # no child of ours
    assert asked == []
    clocks = Clocks(spinning.pid, Limits(cpu=0.2), None)
    clocks.process = Process(spinning.pid)
    clocks._raise_fence(5.0)
    assert [args[0] for args in asked] == [spinning.pid] * 2
    spinning.kill()
    spinning.wait()
    clocks._pid = os.getpid()  # as if it had become ours
    clocks._raise_fence(500.0)
    assert len(asked) == 2


def test_limits_that_another_process_was_given_are_taken_back(
    spinning: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number becomes another's between the look at it and the call."""
    limits = {resource.RLIMIT_CPU: (77, 100)}

    def prlimit(_pid: int, kind: int, new: tuple[int, int] | None = None) -> tuple[int, int]:
        before = limits[kind]
        if new is not None and spinning.poll() is None:
            spinning.kill()
            spinning.wait()
        limits[kind] = new or before
        return before

    monkeypatch.setattr(resource, "prlimit", prlimit)
    clocks = Clocks(spinning.pid, Limits(cpu=0.2), None)
    clocks._raise_fence(40.0)
    assert limits == {resource.RLIMIT_CPU: (77, 100)}


def test_no_process_is_overlooked_however_many_there_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 6000
    children = {1: range(2, many), 2: [many], many: [many + 1]}
    for pid in (*range(1, many + 2),):
        task = tmp_path / str(pid) / "task" / str(pid)
        task.mkdir(parents=True)
        (task / "children").write_text(" ".join(map(str, children.get(pid, ()))))
    monkeypatch.setattr(module, "_PROC", str(tmp_path))
    assert module.processes_beneath(1, many) == set(range(2, many + 2))
    # nobody has more than there may be, but for those that come and go: they are not followed on
    assert len(module.processes_beneath(1, 0)) < many
