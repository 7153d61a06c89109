"""Control groups against a tree of plain files: which are used, what is written and read back.

What the kernel does with them is tried in `tests/kernel/test_groups.py`, where there is version 2.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from belljar.confine import cgroup
from belljar.confine.probe import Facts
from belljar.confine.status import enforce, status
from belljar.confine.table import ATTEMPTS
from belljar.errors import PolicyError, Unenforceable
from belljar.model import Limits, Policy

POLICY = Policy(limits=Limits(memory=64 << 20, cpu=2.0, processes=3, threads=5), require=("cpu",))
FILES = {
    "memory.max": "max", "memory.swap.max": "max", "pids.max": "max", "cgroup.procs": "",
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\n", "memory.events": "low 0\noom_kill 2\n",
    "memory.peak": "4096\n", "cgroup.kill": "",
}  # fmt: skip


class Kernel:
    """Makes a new group's files, takes processes out of the way, removes it with its files."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parent = base / "user@1.service"
        self.parent.mkdir()
        (self.parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
        (self.parent / "cgroup.procs").write_text("")
        self.files = dict(FILES)
        plain, remove = os.mkdir, os.rmdir

        def rmdir(path: str) -> None:
            for name in self.files:
                Path(path, name).unlink(missing_ok=True)
            remove(path)

        def mkdir(path: str, mode: int = 0o777) -> None:
            plain(path, mode)
            for name, text in self.files.items():
                Path(path, name).write_text(text)

        monkeypatch.setattr(cgroup.os, "mkdir", mkdir)
        monkeypatch.setattr(cgroup.os, "rmdir", rmdir)
        monkeypatch.setenv("BELLJAR_CGROUP", str(self.parent))

    def groups(self) -> list[Path]:
        return sorted(path for path in self.parent.iterdir() if path.is_dir())

    def text(self, name: str) -> str:
        return (self.groups()[0] / name).read_text()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path, monkeypatch)


def test_limits_are_written_read_back_and_the_keeper_is_in_it(kernel: Kernel) -> None:
    group, said = cgroup.join(POLICY, 4711)
    assert group is not None
    assert said == cgroup.GROUPED
    limits = [kernel.text(name) for name in ("memory.max", "memory.swap.max", "pids.max")]
    assert limits == [str((64 << 20) + (8 << 20)), "0", "10"]
    assert kernel.text("cgroup.procs") == "4711"
    assert (group.seconds(), group.over(), group.killed(), group.peak()) == (1.5, False, 2, 4096)
    group.close()
    assert kernel.groups() == []
    assert (group.seconds(), group.killed(), group.peak()) == (0.0, 0, 0)


def test_a_limit_that_is_not_kept_is_no_group(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = cgroup.Group._get
    monkeypatch.setattr(
        cgroup.Group, "_get", lambda self, n: "max" if n == "pids.max" else plain(self, n)
    )
    with pytest.raises(PolicyError, match=r"pids\.max is max, not 10"):
        cgroup.join(POLICY, 4711)
    assert kernel.groups() == []


def test_a_named_directory_that_cannot_be_used_is_an_error(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kernel.parent / "cgroup.subtree_control").write_text("cpu\n")
    with pytest.raises(PolicyError, match="has no control over memory and pids"):
        cgroup.join(POLICY, 4711)
    monkeypatch.setenv("BELLJAR_CGROUP", str(kernel.parent / "no-such"))
    with pytest.raises(PolicyError, match="No such file"):
        cgroup.join(POLICY, 4711)


def test_nothing_is_looked_for_unless_asked(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BELLJAR_CGROUP")
    assert cgroup.make(Policy()) == (None, "")
    assert kernel.groups() == []


def test_groups_of_dead_runs_are_removed_and_no_others(kernel: Kernel) -> None:
    for name in ("belljar-999999999-aa", f"belljar-{os.getpid()}-aa", "belljar-x", "other"):
        (kernel.parent / name).mkdir()
    group, _ = cgroup.join(POLICY, 4711)
    assert group is not None
    group.close()
    names = [path.name for path in kernel.groups()]
    assert names == [f"belljar-{os.getpid()}-aa", "belljar-x", "other"]


def facts(tier: str) -> Facts:
    return Facts(tier, 7, dict.fromkeys(ATTEMPTS, (0, 13)), (), 5)


@pytest.mark.parametrize("tier", ["root", "user", "landlock"])
def test_memory_and_cpu_are_full_in_a_group_and_in_no_other_case(tier: str) -> None:
    policy = Policy(require=("memory", "cpu"), accept_partial=("names", "threads"))
    here = status(policy, facts(tier), (), cgroup.GROUPED)
    assert [here.level(name) for name in ("memory", "cpu")] == ["full", "full"]
    enforce(policy, here)
    there = status(policy, facts(tier), (), "/x was not delegated to us")
    assert [there.level(name) for name in ("memory", "cpu")] == ["partial", "partial"]
    with pytest.raises(Unenforceable, match=r"no cgroup \(/x was not delegated to us\)"):
        enforce(policy, there)
