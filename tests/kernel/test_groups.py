"""A control group of version 2: memory, processor time and processes of the whole sandbox.

Needs root and a hierarchy of version 2 with these controllers; elsewhere what is required refuses,
which is tested instead. Without the group each of the programs below gets through: the last test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import belljar

COMMAND = (sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())")

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


def _run(code: str, *flags: str) -> tuple[dict[str, Any], str]:
    """The typed result of `belljar run`, and what was said."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "result")
        command = [*COMMAND, "run", "--no-policy", "--ledger", "none", "--result", str(told)]
        done = subprocess.run(
            [*command, "--wall", "5m", *flags, "-c", code],
            capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        found = json.loads(told.read_text()) if told.exists() else {}
    return found, done.stdout + done.stderr


def _level(result: dict[str, Any], name: str) -> str:
    return str(result["receipt"]["protections"][name]["level"])


MEMORY = ("--require", "memory", "--memory", "100M", "--processes", "8", "--disk", "1G")


@only_here
@pytest.mark.parametrize("code", [SHARED, FILES], ids=["shared", "files"])
def test_memory_of_any_kind_counts_for_the_whole_sandbox(group: Path, code: str) -> None:
    result, said = _run(code, *MEMORY)
    assert (_level(result, "memory"), _level(result, "cpu")) == ("full", "full")
    assert (result["ended-by"], "got through" in said) == ("memory", False)


@only_here
def test_memory_of_all_children_together_is_within_the_limit(group: Path) -> None:
    result, said = _run(CHILDREN, *MEMORY)  # the kernel ends as many as it must, and the rest go on
    assert 50 << 20 < result["usage"]["peak-memory"] < 120 << 20, said


@only_here
@pytest.mark.parametrize("code", [SPIN, CHAIN], ids=["side by side", "one after another"])
def test_processor_time_counts_for_all_processes(group: Path, code: str) -> None:
    result, said = _run(code, "--require", "cpu", "--cpu", "2s", "--processes", "8")
    assert (result["ended-by"], "got through" in said) == ("cpu", False)


@only_here
def test_a_live_sandbox_ends_by_the_memory_of_its_group(group: Path) -> None:
    result = belljar.run(SHARED, ledger="none", memory="100M", require=["memory"])
    assert (result.ended_by, result.stdout) == ("memory", b"")


@only_here
def test_an_interpreter_within_its_limits_notices_nothing(group: Path) -> None:
    result, said = _run("x = bytearray(50_000_000); print(len(x))", "--require", "memory,cpu")
    assert (result["ended-by"], said) == ("exit", "50000000\n")


@only_here
def test_without_a_group_they_get_through() -> None:
    without = ("--memory", "100M", "--processes", "8", "--disk", "1G")
    for code in (SHARED, CHILDREN, FILES):
        assert "got through" in _run(code, *without)[1]


@only_here
def test_who_is_in_the_root_group_itself_has_one_beneath_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BELLJAR_CGROUP", raising=False)
    result, said = _run(SHARED, *MEMORY)
    if Path("/proc/self/cgroup").read_text().strip() != "0::/" or (MOUNT / "cgroup.type").exists():
        assert "cgroup" in said
        assert not result
        return
    assert result["ended-by"] == "memory"
    assert not list(MOUNT.glob("belljar-*"))


@pytest.mark.skipif(HERE, reason="there are control groups here")
def test_where_there_is_none_what_requires_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BELLJAR_CGROUP", raising=False)
    result, said = _run("print(1)", "--require", "memory")
    assert "no cgroup" in said
    assert result.get("ended-by") in (None, "refused")
