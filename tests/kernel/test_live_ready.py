"""Guests that are ready before they are asked for: who gets them, who does not, what is left."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forking import state

import belljar
from belljar.errors import PolicyError
from belljar.ledger.entries import expand
from belljar.ledger.reader import read
from belljar.sandbox.live import pool as pools
from belljar.sandbox.live import ready

LONG = 60.0  # seconds; this machine may do much else


@pytest.fixture(autouse=True)
def pool() -> Iterator[pools.Pool]:
    """None is ready before a test, and none is left after it."""
    one = ready.pool()
    one.close()
    yield one
    one.close()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def make_ready(pool: pools.Pool, **keywords: Any) -> int:
    """Ask as often as it takes; the number of the keeper of the one that is ready then."""
    for _ in range(2):
        belljar.Sandbox(**keywords).close()
    until(pool.ready)
    return waiting(pool)[0]


def waiting(pool: pools.Pool) -> list[int]:
    """The keepers of those that wait."""
    return [guest.walls.keeper.pid for slot in pool._slots.values() for guest in slot.guests]


def keeper(box: belljar.Sandbox) -> int:
    return box._guest.walls.keeper.pid


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_third_sandbox_of_a_plan_is_one_that_was_ready(pool: pools.Pool) -> None:
    pid = make_ready(pool, ledger="none")
    with belljar.Sandbox(ledger="none") as box:
        assert keeper(box) == pid
        assert box.eval("6 * 7") == 42
        assert box.status.level("files") == "full"
        until(pool.ready)
        with belljar.Sandbox(ledger="none") as other:
            assert keeper(other) != pid
            box.put(x=1)
            assert other.run("x").error.type_name == "NameError"


def test_once_is_not_again(pool: pools.Pool) -> None:
    belljar.Sandbox(ledger="none").close()
    belljar.Sandbox(ledger="none", cpu=7).close()
    assert pool._thread is None
    assert not pool.ready()


def test_what_is_its_owners_is_given_late(pool: pools.Pool) -> None:
    pid = make_ready(pool, ledger="none")
    heard: list[tuple[int, bytes]] = []
    with belljar.Sandbox(
        ledger="none",
        name="mine",
        argv=["job", "\udc80'\"", "--fast"],
        modules={"rates": "EUR = 1.1"},
        on_output=lambda number, data: heard.append((number, data)),
    ) as box:
        assert keeper(box) == pid
        assert box.eval("__import__('sys').argv[2]") == "--fast"
        assert box.eval("ascii(__import__('sys').argv[1])") == ascii("\udc80'\"")
        box.run("import rates; print(rates.EUR)")
        assert heard == [(1, b"1.1\n")]
        assert box.name == "mine"


def test_the_first_run_is_number_one_and_time_begins_with_the_owner(pool: pools.Pool) -> None:
    make_ready(pool, ledger="none")
    time.sleep(0.3)
    began = time.monotonic()
    with belljar.Sandbox(ledger="none") as box:
        error = box.run("1 / 0").error
        assert error is not None
        assert 'File "<run 1>"' in error.traceback
        assert box.usage.wall <= time.monotonic() - began


def test_standard_input_comes_with_a_guest_of_its_own(pool: pools.Pool) -> None:
    pid = make_ready(pool, ledger="none")
    with belljar.Sandbox(ledger="none", input="told") as box:
        assert keeper(box) != pid
        assert box.eval("input()") == "told"
    assert waiting(pool) == [pid]


def test_a_granted_directory_that_was_replaced_is_not_the_one_of_before(
    pool: pools.Pool, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "x").write_text("old")
    pid = make_ready(pool, ledger="none", read=[str(data)])
    data.rename(tmp_path / "before")
    data.mkdir()
    (data / "x").write_text("new")
    with belljar.Sandbox(ledger="none", read=[str(data)]) as box:
        assert keeper(box) != pid
        assert box.eval(f"open('{data}/x').read()") == "new"
    until(lambda: gone(pid))


def test_what_is_missing_now_is_an_error_as_ever(pool: pools.Pool, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    make_ready(pool, ledger="none", read=[str(data)])
    data.rmdir()
    with pytest.raises(PolicyError):
        belljar.Sandbox(ledger="none", read=[str(data)])


def test_a_place_to_be_shielded_that_came_into_being_is_seen(
    pool: pools.Pool, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    pid = make_ready(pool, ledger="none", write=[str(tree)])
    (tree / ".git" / "hooks").mkdir(parents=True)
    with belljar.Sandbox(ledger="none", write=[str(tree)]) as box:
        assert keeper(box) != pid
        assert box.run(f"open('{tree}/.git/hooks/pre-commit', 'w')").error is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_what_was_mounted_meanwhile_is_seen(pool: pools.Pool, tmp_path: Path) -> None:
    inner = tmp_path / "data" / "inner"
    inner.mkdir(parents=True)
    grants: dict[str, Any] = {"ledger": "none", "read": [str(tmp_path / "data")]}
    pid = make_ready(pool, **grants)
    done = subprocess.run(["mount", "-t", "tmpfs", "none", inner], check=False)
    if done.returncode:
        pytest.fail("mounting does not work here")
    try:
        (inner / "x").write_text("new")
        with belljar.Sandbox(**grants) as box:
            assert keeper(box) != pid
            assert box.eval(f"open('{inner}/x').read()") == "new"
    finally:
        subprocess.run(["umount", "-l", inner], check=True)


def test_one_that_died_while_it_waited_is_not_handed_out(pool: pools.Pool) -> None:
    pid = make_ready(pool, ledger="none")
    os.kill(pid, signal.SIGKILL)
    until(lambda: state(pid) in ("gone", "Z", "X"))
    with belljar.Sandbox(ledger="none") as box:
        assert keeper(box) != pid
        assert box.eval("1") == 1
    until(lambda: gone(pid))


def test_it_is_not_handed_out_to_another_user_of_the_process(
    pool: pools.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = make_ready(pool, ledger="none")
    monkeypatch.setattr(os, "getgroups", lambda: [*range(5)])
    with belljar.Sandbox(ledger="none") as box:
        assert keeper(box) != pid


def test_the_record_of_a_ready_guest_is_whole_and_an_unused_one_has_none(
    pool: pools.Pool, tmp_path: Path
) -> None:
    ledger = str(tmp_path / "ledger")
    runs = []
    for _ in range(2):
        with belljar.Sandbox(ledger=ledger) as box:
            runs.append(box.run("import json").run_id)
    until(pool.ready)
    pid = waiting(pool)[0]
    with belljar.Sandbox(ledger=ledger, name="third") as box:
        assert keeper(box) == pid
        runs.append(box.run("import json").run_id)
        until(pool.ready)
    found: dict[str, list[tuple[str, str]]] = {}
    for record in read(ledger):
        for entry in expand(record):
            told = getattr(entry.data, "name", "")
            found.setdefault(entry.run.hex(), []).append((entry.kind, told))
    found.pop("00" * 16, None)  # what is of no run
    assert set(found) == set(runs)
    first, later = found[runs[0]], found[runs[2]]
    assert first == later  # nobody can tell from what it did that it was ready
    assert (first[0][0], later[0][0]) == ("start", "start")
    assert (first[-1][0], later[-1][0]) == ("end", "end")
    pool.close()
    after = {entry.run.hex() for record in read(ledger) for entry in expand(record)}
    assert after - {"00" * 16} == set(runs)


def test_a_child_of_the_host_makes_its_own_and_leaves_the_parents(pool: pools.Pool) -> None:
    pid = make_ready(pool, ledger="none")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with belljar.Sandbox(ledger="none") as box:
                status = 0 if keeper(box) != pid and box.eval("2") == 2 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with belljar.Sandbox(ledger="none") as box:
        assert keeper(box) == pid
        assert box.eval("1") == 1


def test_a_fork_amid_the_making_does_not_keep_the_guest(pool: pools.Pool) -> None:
    template = belljar.Template(ready=4)
    children = []
    for _ in range(4):
        belljar.Sandbox(template=template, ledger="none").close()
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        children.append(child)
    try:
        until(lambda: pool.ready() == 4)
        pids = waiting(pool)
        template.close()
        until(lambda: all(map(gone, pids)))
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


HOST = """
import os, sys, time, belljar
from belljar.sandbox.live import ready
for _ in range(2):
    belljar.Sandbox(ledger="none").close()
while not ready.pool().ready():
    time.sleep(0.005)
(slot,) = ready.pool()._slots.values()
print(slot.guests[0].walls.keeper.pid, slot.guests[0].walls.collector.directory, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("how", ["exit", "killed"])
def test_they_end_with_their_host(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOST, how], capture_output=True, check=False, timeout=LONG,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.stderr == b""
    pid, directory = done.stdout.decode().split()
    until(lambda: gone(int(pid)))
    if how == "exit":
        assert not os.path.exists(directory)


def test_they_end_with_their_template_and_it_says_how_many(pool: pools.Pool) -> None:
    template = belljar.Template(ready=2)
    with belljar.Sandbox(template=template, ledger="none") as box:
        box.eval("1")
        until(lambda: pool.ready() == 2)
        pids = waiting(pool)
    template.close()
    assert not pool.ready()
    until(lambda: all(map(gone, pids)))
    with belljar.Template(ready=0) as template:
        for _ in range(3):
            belljar.Sandbox(template=template, ledger="none").close()
        assert not pool._slots
    with pytest.raises(TypeError, match="ready="):
        belljar.Template(ready=-1)


def test_nobody_wants_it_for_long(pool: pools.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE", 0.5)
    monkeypatch.setattr(pools, "_LINGER", 0.1)
    pid = make_ready(pool, ledger="none")
    until(lambda: pool._thread is None)
    assert not pool.ready()
    assert gone(pid)


def test_descriptors_of_the_host_are_left_to_it(pool: pools.Pool) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    belljar.Sandbox(ledger="none").close()
    few = len(os.listdir("/proc/self/fd")) + 34  # a sandbox has room, one more would take half
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        for _ in range(3):
            belljar.Sandbox(ledger="none").close()
        until(lambda: all(slot.lacks <= 0 for slot in pool._slots.values()))
        assert not pool.ready()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_policy_of_which_something_comes_outside_waits_for_its_owner(
    pool: pools.Pool, tmp_path: Path
) -> None:
    for _ in range(3):
        belljar.Sandbox(
            ledger="none", stdout=str(tmp_path / "log"), accept_partial=["output"]
        ).close()
    assert not pool._slots


def test_many_in_a_row_leave_nothing(pool: pools.Pool) -> None:
    count = 10_000 if os.environ.get("BELLJAR_LONG") else 20
    make_ready(pool, ledger="none")
    open_before = len(os.listdir("/proc/self/fd"))
    for number in range(count):
        with belljar.Sandbox(ledger="none") as box:
            assert box.eval(str(number)) == number
    pool.close()
    assert len(os.listdir("/proc/self/fd")) <= open_before


def test_one_that_is_half_made_when_the_mounts_change_is_not_kept(
    pool: pools.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    whole = pools.cold.begin

    def begin(raised: Any) -> Any:
        if threading.current_thread().name == "belljar-ready":
            made.append(raised.walls.keeper.pid)
            if len(made) == 1:
                pool._era += 1  # as when another thread, that asks for one, notices it
        return whole(raised)

    monkeypatch.setattr(pools.cold, "begin", begin)
    template = belljar.Template(ready=1)
    with belljar.Sandbox(template=template, ledger="none") as box:
        box.eval("1")
        until(pool.ready)
    assert len(made) == 2
    assert waiting(pool) == made[1:]
    until(lambda: gone(made[0]))
    template.close()
