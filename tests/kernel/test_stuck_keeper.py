"""A keeper that hears nothing, for whatever reason, does not hold the host past its limits."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tiers import Tier


def processes() -> dict[int, tuple[str, int]]:
    """Of each process its name and its parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                before, _, after = (entry / "stat").read_text().rpartition(")")
                found[int(entry.name)] = before.partition("(")[2], int(after.split()[1])
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def keeper_of(host: int) -> int:
    """The keeper that the process `host`, or a child of its, has started."""
    known = processes()
    for pid, (name, parent) in known.items():
        if name == "belljar-keeper" and host in (parent, known.get(parent, ("", 0))[1]):
            return pid
    raise AssertionError(f"no keeper of {host}")


def test_a_stuck_keeper_is_ended_with_all_that_it_keeps(tier: Tier) -> None:
    code = "import time; print('up', flush=True); time.sleep(600)"
    process = tier.start("run", "--wall", "2", "-c", code)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    keeper = keeper_of(process.pid)
    children = [pid for pid, (_, parent) in processes().items() if parent == keeper]
    os.kill(keeper, signal.SIGSTOP)
    began = time.monotonic()
    try:
        _, err = process.communicate(timeout=25)
    finally:
        with suppress(OSError):
            os.kill(keeper, signal.SIGCONT)
    assert process.returncode == 124, err
    assert time.monotonic() - began < 20
    assert children
    until = time.monotonic() + 5
    while (left := [pid for pid in children if lives(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left
