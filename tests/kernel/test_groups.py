"""A control group of version 2: memory, processor time and processes of the whole sandbox.

Needs root and a hierarchy of version 2 with these controllers; elsewhere what is required refuses,
which is tested instead. Without the group each of the programs below gets through: the last test.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import belljar

MOUNT = Path("/sys/fs/cgroup")
NEEDED = {"memory", "pids", "cpu"}


def _possible() -> bool:
    try:
        return os.geteuid() == 0 and {*(MOUNT / "cgroup.controllers").read_text().split()} >= NEEDED
    except OSError:
        return False


HERE = _possible()
only_here = pytest.mark.skipif(not HERE, reason="no control groups of version 2 for us here")

SHARED = """
import mmap
held = mmap.mmap(-1, 300_000_000)
for at in range(0, len(held), 4096): held[at] = 1
print("got through")
"""
CHILDREN = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        kept = bytearray(60_000_000)
        time.sleep(60)
        os._exit(0)
time.sleep(3)
print("got through")
"""
FILES = """
for number in range(40):
    open(f"/tmp/{number}", "wb").write(b"x" * 5_000_000)
print("got through")
"""
SPIN = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        while True: pass
time.sleep(20)
print("got through")
"""
CHAIN = """
import os, time
for _ in range(40):
    if os.fork() > 0: os._exit(0) if _ else os.wait()
    stop = time.process_time() + 0.4
    while time.process_time() < stop: pass
print("got through")
"""


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in sorted(NEEDED):
        (MOUNT / "cgroup.subtree_control").write_text(f"+{name}")
    made = MOUNT / f"test-belljar-{os.getpid()}"
    made.mkdir()
    (made / "cgroup.subtree_control").write_text("+memory +pids +cpu")
    monkeypatch.setenv("BELLJAR_CGROUP", str(made))
    yield made
    left = [path for path in made.iterdir() if path.is_dir()]
    for path in [*left, made]:
        with suppress(OSError):
            path.rmdir()
    assert not left, "a group was left behind"


def _run(code: str, **grants: object) -> belljar.Result:
    return belljar.run(code, ledger="none", wall="40s", **grants)  # type: ignore[arg-type]


@only_here
@pytest.mark.parametrize("code", [SHARED, CHILDREN, FILES], ids=["shared", "children", "files"])
def test_memory_of_any_kind_counts_for_the_whole_sandbox(group: Path, code: str) -> None:
    result = _run(code, memory="100M", processes=8, disk="1G", require=["memory"])
    assert (result.receipt.level("memory"), result.receipt.level("cpu")) == ("full", "full")
    if code is CHILDREN:  # the kernel ends as many of them as it must, and the first may go on
        assert 50 << 20 < result.usage.peak_memory < 120 << 20
    else:
        assert (result.ended_by, b"got through" in result.stdout) == ("memory", False)


@only_here
@pytest.mark.parametrize("code", [SPIN, CHAIN], ids=["side by side", "one after another"])
def test_processor_time_counts_for_all_processes(group: Path, code: str) -> None:
    began = time.monotonic()
    result = _run(code, cpu=2, processes=8, require=["cpu"])
    assert (result.ended_by, b"got through" in result.stdout) == ("cpu", False)
    assert time.monotonic() - began < 30
    assert result.usage.cpu < 6


@only_here
def test_an_interpreter_within_its_limits_notices_nothing(group: Path) -> None:
    result = _run("x = bytearray(50_000_000); print(len(x))", require=["memory", "cpu"])
    assert (result.stdout, result.ended_by) == (b"50000000\n", "exit")


@only_here
def test_without_a_group_they_get_through() -> None:
    assert b"got through" in _run(SHARED, memory="100M").stdout
    assert b"got through" in _run(CHILDREN, memory="100M", processes=8).stdout


@only_here
def test_who_is_in_the_root_group_itself_has_one_beneath_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BELLJAR_CGROUP", raising=False)
    if Path("/proc/self/cgroup").read_text().strip() != "0::/" or (MOUNT / "cgroup.type").exists():
        with pytest.raises(belljar.BelljarError, match="cgroup"):
            _run(SHARED, memory="100M", require=["memory"])
        return
    for name in sorted(NEEDED):
        (MOUNT / "cgroup.subtree_control").write_text(f"+{name}")
    assert _run(SHARED, memory="100M", require=["memory"]).ended_by == "memory"
    assert not list(MOUNT.glob("belljar-*"))


@pytest.mark.skipif(HERE, reason="there are control groups here")
def test_where_there_is_none_what_requires_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BELLJAR_CGROUP", raising=False)
    with pytest.raises(belljar.BelljarError, match="no cgroup"):
        _run("print(1)", require=["memory"])
