"""When a run ends, by whatever way, nothing of it is left and its record is whole."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiers import Tier, processes

SLEEP = "import time; print('up', flush=True); time.sleep(60)"


class Run:
    """A `belljar run` that is watched from outside."""

    def __init__(self, tier: Tier, *words: str, **more: object) -> None:
        self.tier = tier
        self.mark = secrets.token_hex(12)
        self.before = sorted(os.listdir(tier.temporary))
        self.mounts = Path("/proc/self/mountinfo").read_text()
        self.ledger = str(tier.home / f"ledger-{self.mark}")
        self.result = tier.home / f"result-{self.mark}.json"
        ours = ("--ledger", self.ledger, "--result", str(self.result), "--env", f"MARK={self.mark}")
        self.process = tier.start("run", *ours, *words, **more)

    def wait_until_up(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"up\n", self.process.stderr.read()

    def keeper(self) -> int:
        for pid in processes(self.process.pid, self.mark):
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            if (
                Path(f"/proc/{pid}/comm").read_text() == "belljar-keeper\n"
                and int(parent) == self.process.pid
            ):
                return pid
        raise AssertionError("no keeper")

    def end(self, patience: float = 5) -> tuple[int, bytes, bytes]:
        try:
            out, err = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            for pid in processes(self.process.pid, self.mark):
                os.kill(pid, signal.SIGKILL)
            self.process.communicate(timeout=5)
            raise
        deadline = time.monotonic() + patience
        while processes(self.process.pid, self.mark) and time.monotonic() < deadline:
            time.sleep(0.02)
        left = processes(self.process.pid, self.mark)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == [], "processes survived"
        return self.process.returncode, out or b"", err or b""

    def assert_nothing_left(self) -> None:
        assert sorted(os.listdir(self.tier.temporary)) == self.before
        assert Path("/proc/self/mountinfo").read_text() == self.mounts

    def verify(self) -> dict:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from belljar.cli import main; sys.exit(main())",
                "log",
                "verify",
                "--json",
                self.ledger,
            ],
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)
        assert report["whole"] is True
        return report

    def ended_by(self) -> str:
        return json.loads(self.result.read_text())["ended-by"]


def test_an_ordinary_end_leaves_nothing(tier: Tier) -> None:
    run = Run(tier, "-c", "print('done')")
    assert run.end()[:2] == (0, b"done\n")
    run.assert_nothing_left()
    assert run.verify()["unfinished"] == []


def test_a_killed_host_leaves_nothing_running(tier: Tier) -> None:
    run = Run(tier, "-c", SLEEP)
    run.wait_until_up()
    assert len(processes(run.process.pid, run.mark)) >= 3
    run.process.kill()
    run.end()
    assert len(run.verify()["unfinished"]) == 1
    for name in os.listdir(tier.temporary):
        os.utime(tier.temporary / name, (10**9, 10**9))  # young ones may be someone's who starts
    again = Run(tier, "-c", "pass")
    again.end()
    again.before = run.before  # what the killed one could not remove, the next one does
    again.assert_nothing_left()


def test_a_killed_keeper_ends_the_run(tier: Tier) -> None:
    run = Run(tier, "-c", SLEEP)
    run.wait_until_up()
    os.kill(run.keeper(), signal.SIGKILL)
    status, _, err = run.end()
    assert (status, run.ended_by()) == (137, "lost"), err
    assert err.startswith(b"belljar: ")
    run.assert_nothing_left()
    assert run.verify()["unfinished"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_host_ends_the_run_in_order(tier: Tier, number: int) -> None:
    run = Run(tier, "-c", SLEEP)
    run.wait_until_up()
    run.process.send_signal(number)
    status, _, err = run.end()
    assert (status, run.ended_by()) == (130, "interrupt"), err
    run.assert_nothing_left()
    assert run.verify()["unfinished"] == []


def test_an_interrupt_at_any_moment_leaves_nothing(tier: Tier) -> None:
    for milliseconds in (5, 15, 25, 35, 45, 60, 80):
        run = Run(tier, "-c", SLEEP)
        time.sleep(milliseconds / 1000)
        run.process.send_signal(signal.SIGTERM)
        status, _, err = run.end()
        assert status in (130, -15), err
        assert b"Traceback" not in err
        run.assert_nothing_left()


def test_a_reader_that_goes_away_ends_the_run(tier: Tier) -> None:
    run = Run(
        tier,
        "-c",
        "import time\nprint('up', flush=True)\nwhile True: print('x' * 1000); time.sleep(0.001)",
    )
    run.wait_until_up()
    run.process.stdout.close()
    run.process.stdout = None
    status, _, err = run.end()
    assert (status, run.ended_by()) == (141, "reader"), err
    run.assert_nothing_left()
    assert run.verify()["unfinished"] == []


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_it_starts_with_standard_streams_closed(tier: Tier, closed: tuple[int, ...]) -> None:
    def close() -> None:
        for fd in closed:
            os.close(fd)

    code = "import os\nfor fd in range(3): os.fstat(fd)"
    run = Run(tier, "-c", code, preexec_fn=close)
    status, _, err = run.end()
    assert status == 0, err
    run.assert_nothing_left()
    assert run.verify()["unfinished"] == []


def test_nothing_survives_its_parent(tier: Tier) -> None:
    place = tier.home / "beats"
    place.mkdir(exist_ok=True)
    tier.own(place)
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        for fd in range(3): os.close(fd)\n"
        "        for _ in range(100):\n"
        "            open('beats/beat', 'a').write('x'); time.sleep(0.05)\n"
        "    os._exit(0)\n"
        "time.sleep(0.3)\n"
    )
    run = Run(tier, "--write", "beats", "--processes", "4", "-c", code)
    status, _, err = run.end(patience=0.3)
    if status == 125 and b"cannot protect processes" in err:
        return  # this tier cannot promise it, and says so
    assert status == 0, err
    size = (place / "beat").stat().st_size
    assert size > 0
    time.sleep(0.3)
    assert (place / "beat").stat().st_size == size


def test_the_wall_clock_ends_everything(tier: Tier) -> None:
    code = "import os, time\nos.fork() or os.setsid()\nos.fork()\nprint('up')\ntime.sleep(60)"
    run = Run(tier, "--wall", "1s", "--processes", "8", "-c", code)
    before = time.monotonic()
    status, _, err = run.end(patience=0.5)
    if status == 125 and b"cannot protect processes" in err:
        return
    assert (status, run.ended_by()) == (124, "wall"), err
    assert time.monotonic() - before < 6
    run.assert_nothing_left()


def test_many_runs_at_once_do_not_meet(tier: Tier) -> None:
    runs = [Run(tier, "-c", f"import time; time.sleep(0.2); print({n})") for n in range(6)]
    for number, run in enumerate(runs):
        assert run.end()[:2] == (0, f"{number}\n".encode())
    runs[0].assert_nothing_left()
