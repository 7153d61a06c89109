"""Branches of live sandboxes: copies that go on, each asked, limited and ended by itself."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import belljar
from belljar.errors import PolicyError
from belljar.sandbox.live.supervisor import supervisor

LONG = 60.0
MANY = 1000 if os.environ.get("BELLJAR_LONG") else 40


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def beneath(box: belljar.Sandbox) -> set[int]:
    from belljar.sandbox.live.clocks import processes_beneath

    return processes_beneath(box._guest.family.init)


@pytest.mark.parametrize("engine", ["template", "cold"])
def test_a_branch_goes_on_from_the_state_and_changes_none_but_its_own(engine: str) -> None:
    with belljar.Sandbox(ledger="none", branches=4, engine=engine) as box:
        box.run("rows = [1, 2]\ndef add(n): rows.append(n)")
        with box.fork(name="one") as one, box.fork() as two:
            one.call("add", 3)
            box.call("add", 5)
            assert one.eval("rows") == [1, 2, 3]
            assert two.eval("rows") == [1, 2]
            assert box.eval("rows") == [1, 2, 5]
            with one.fork() as further:  # a branch of a branch
                further.call("add", 4)
                assert further.eval("rows") == [1, 2, 3, 4]
            assert one.eval("rows") == [1, 2, 3]
            assert "one" in repr(one)


@pytest.mark.parametrize("engine", ["template", "cold"])
def test_a_branch_lives_on_when_what_it_came_from_has_ended(engine: str) -> None:
    box = belljar.Sandbox(ledger="none", branches=4, engine=engine)
    box.run("x = 7")
    by_exit, by_close = box.fork(), None
    assert box.run("import os; os._exit(3)").status == 3
    assert (box.ended_by, by_exit.eval("x")) == ("exit", 7)
    by_close = by_exit.fork()
    by_exit.close()
    box.close()
    assert by_close.eval("x + 1") == 8
    assert by_close.ended_by == ""
    family = by_close._guest.family
    by_close.close()
    assert by_close.ended_by == "closed"
    assert family.over.is_set()
    assert not beneath(by_close)


def test_output_goes_to_who_wrote_it() -> None:
    with belljar.Sandbox(ledger="none", branches=2) as box:
        box.run("import sys; sys.stdout.write('not flushed')")
        heard: list[bytes] = []
        with box.fork() as one, box.fork(on_output=lambda _n, data: heard.append(data)) as two:
            assert one.run("print('one'); print('err', file=sys.stderr)").text == "one\nerr\n"
            assert two.run("print('two')").stdout == b"two\n"
            assert box.run("print('box')").stdout == b"box\n"
            assert one.run("print(input())").error.type_name == "EOFError"  # no input of its own
        assert b"".join(heard) == b"two\n"


def test_limits_end_one_branch_and_no_other() -> None:
    with belljar.Sandbox(ledger="none", branches=4) as box:
        with box.fork(wall=1) as slow, box.fork(cpu=1) as busy, box.fork() as good:
            assert slow.run("import time; time.sleep(100)").ended_by == "wall"
            assert busy.run("while True: pass").ended_by == "cpu"
            with pytest.raises(belljar.SandboxEnded):
                busy.eval("1")
            crashed = box.fork()
            result = crashed.run("import os; os.abort()")
            assert (result.ended_by, result.status, result.signal) == ("signal", 134, 6)
            small = box.fork(memory="64M")
            assert small.run("x = bytes(200 << 20)").error.type_name == "MemoryError"
            assert good.eval("len(bytes(200 << 20))") == 200 << 20
            small.interrupt()
            until(lambda: small.ended_by)
            assert small.ended_by == "interrupt"
            assert (good.eval("1"), box.eval("2")) == (1, 2)
        assert box.eval("3") == 3


def test_a_limit_may_only_be_less() -> None:
    with belljar.Sandbox(ledger="none", branches=1, memory="256M") as box:
        with pytest.raises(PolicyError, match="memory=: this is more"):
            box.fork(memory="512M")
        with pytest.raises(TypeError, match="env= cannot differ in a branch"):
            box.fork(env={"A": "1"})
        with pytest.raises(belljar.GuestError, match="more than the sandbox has"):
            box.fork(read=["/"])
        assert not box._guest.family.pending


def test_there_are_as_many_branches_as_were_asked_for() -> None:
    with (
        belljar.Sandbox(ledger="none") as box,
        pytest.raises(belljar.BelljarError, match="branches="),
    ):
        box.fork()
    with belljar.Sandbox(ledger="none", branches=2) as box:
        one, two = box.fork(), box.fork()
        with pytest.raises(belljar.BelljarError, match="2 branches of this sandbox live already"):
            two.fork()
        one.close()
        with two.fork() as three:
            assert three.eval("1") == 1
        del two  # lost: its place is had again
        gc.collect()
        with box.fork(), box.fork():
            assert box.eval("1") == 1


def test_what_cannot_have_branches_says_so_before_anything_runs() -> None:
    with pytest.raises(PolicyError, match="branches=: a sandbox that may start processes"):
        belljar.Sandbox(ledger="none", branches=1, processes=2)
    with pytest.raises(PolicyError, match="branches=: how many"):
        belljar.Sandbox(ledger="none", branches=-1)


def test_a_state_with_threads_is_not_branched() -> None:
    with belljar.Sandbox(ledger="none", branches=2) as box:
        box.run(
            "import threading\ngo = threading.Event()\n"
            "one = threading.Thread(target=go.wait, name='waits'); one.start()"
        )
        with pytest.raises(belljar.GuestError, match=r"threads run in this sandbox .*waits"):
            box.fork()
        box.run("go.set(); one.join()")
        with box.fork() as branch:
            assert branch.eval("go.is_set()") is True
            branch.run("two = threading.Thread(target=print); two.start(); two.join()", check=True)


def test_random_streams_differ() -> None:
    draw = """
import os, random, secrets, ssl, tempfile, uuid
def draw():
    made = tempfile.mktemp()
    return (random.random(), os.urandom(8), secrets.token_hex(8), ssl.RAND_bytes(8),
            str(uuid.uuid1()), str(uuid.uuid4()), made)
draw()
"""
    with belljar.Sandbox(ledger="none", branches=3) as box:
        box.run(draw)
        branches = [box.fork() for _ in range(3)]
        drawn = [box.call("draw"), *(one.call("draw") for one in branches)]
        for kind in zip(*drawn, strict=True):
            assert len(set(kind)) == 4
        for one in branches:
            one.close()


def test_memory_that_was_mapped_to_be_shared_is_the_branchs_own() -> None:
    with belljar.Sandbox(ledger="none", branches=2, memory="512M") as box:
        box.run("import mmap\nmade = mmap.mmap(-1, 8 << 20)\nmade[:5] = b'first'")
        with box.fork() as branch:
            branch.run("made[:5] = b'other'")
            assert (box.eval("made[:5]"), branch.eval("made[:5]")) == (b"first", b"other")
            box.run("made[-3:] = b'end'")
            assert branch.eval("made[-3:]") == bytes(3)


def test_arrays_of_the_host_are_not_shared_with_a_branch() -> None:
    numpy = pytest.importorskip("numpy")
    with belljar.Sandbox(ledger="none", branches=2, import_=["numpy"]) as box:
        box.run("import belljar, numpy\nmade = belljar.array((300, 1000))\nmade[0] = 1")
        with box.fork() as branch:
            branch.run("made[0] = 2")
            assert (box.eval("made[0, 0].item()"), branch.eval("made[0, 0].item()")) == (1.0, 2.0)
            assert branch.eval("made")[0, 0] == 2.0
            branch.put(given=numpy.ones((300, 1000)))
            assert branch.eval("given.sum().item()") == 300_000
            assert branch.call("len", bytes(3 << 20)) == 3 << 20
        assert box.eval("made")[0, 0] == 1.0


def test_what_is_shared_is_shared_with_the_branch_and_taken_back_from_it() -> None:
    said: list[str] = []
    with belljar.Sandbox(ledger="none", branches=2) as box:
        limited = belljar.Limit(calls=3)
        handle = box.share("log", said, methods=["append"], limits={"append": limited})
        box.run("log = host.log\nlog.append('box')")
        branch, other = box.fork(), box.fork()
        branch.run("host.log.append('branch')", check=True)
        assert branch.run("log.append('stale')").error.type_name == "ConnectionError"
        assert branch.shared["log"].calls == {"append": 1}
        branch.shared["log"].revoke()  # from this one alone
        assert branch.run("host.log.append('x')").error.type_name == "ReferenceError"
        other.run("host.log.append('other')", check=True)
        assert "Limited" in other.run("host.log.append('more')").error.type_name  # counted together
        handle.revoke()  # and from all that came of it
        assert other.run("host.log.append('x')").error.type_name == "ReferenceError"
        box.close()
        other.share("more", functions={"f": lambda: 5})
        assert other.eval("host.more.f()") == 5
        branch.close()
        other.close()
    assert said == ["box", "branch", "other"]


def test_denials_and_events_are_of_the_branch_that_made_them(tmp_path: Path) -> None:
    there = ("/etc/fstab", "/etc/login.defs", "/etc/profile")
    source = f"open({next(path for path in there if os.path.isfile(path))!r})"
    with belljar.Sandbox(ledger=str(tmp_path / "ledger"), branches=2) as box:
        box.run("pass")
        one, two = box.fork(), box.fork()
        for each in (one, two, box):
            result = each.run(source)
            assert [denial.right for denial in result.denials] == ["read"]
            assert {event.pid for event in result.events} == {each._guest.number}
            assert "open" in [event.name for event in result.events]
            assert "belljar.begin" not in [event.name for event in result.events]
            assert result.run_id == box.run("pass").run_id
        run_id = box.run("1").run_id
        one.close()
        two.close()
    assert box.result.ended_by == "closed"
    from belljar.ledger import END, START
    from belljar.ledger.reader import Reader

    with Reader(str(tmp_path / "ledger")) as reader:
        records = [one for one in reader.records() if one.run.hex() == run_id]
    assert [one.kind for one in records].count(START) == 1  # one session, one run
    assert records[-1].kind == END


def test_the_receipt_tells_what_branches_open() -> None:
    with belljar.Sandbox(ledger="none", branches=3) as box, box.fork() as branch:
        rows = {row.name: row for row in branch.status.protections}
        assert "3 at a time" in rows["processes"].reason
        assert "each of 3 branches" in rows["memory"].reason
        assert rows["threads"].level == "partial"
        usage = branch.usage
        assert usage.cpu >= 0
        assert usage.peak_memory > 0
        assert branch.status is box.status


def test_nothing_is_left_of_many_branches_in_a_row() -> None:
    with belljar.Sandbox(ledger="none", branches=2) as box:
        box.run("x = list(range(1000))")
        counts = []
        for n in range(MANY):
            with box.fork() as branch:
                assert branch.call("x.__getitem__", n % 1000) == n % 1000
            if n in (5, MANY - 1):
                gc.collect()
                counts.append((len(os.listdir("/proc/self/fd")), threading.active_count()))
        assert counts[1][0] <= counts[0][0] + 3, counts  # not one for each of them
        assert counts[1][1] <= counts[0][1]
        family = box._guest.family
        assert list(family.members.values()) == [box._guest]
        assert len(family.walls.collector._last) < 2 * MANY
        assert len(family.walls.left) < 10
        assert beneath(box) == {box._guest.pid}
        assert len(supervisor()._guests) < 12


def test_a_guest_that_asks_for_its_end_takes_only_itself_along() -> None:
    with belljar.Sandbox(ledger="none", branches=2) as box:
        branch = box.fork()
        assert branch.run("raise SystemExit(4)").status == 4
        assert branch.eval("1") == 1
        assert branch.run("import os; os._exit(5)").status == 5
        assert (branch.ended_by, branch.result.status) == ("exit", 5)
        assert box.eval("1") == 1


@pytest.mark.parametrize("branch", [False, True])
def test_an_owner_that_is_interrupted_leaves_nothing(
    branch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Interrupted:
        def __init__(self, guest: object) -> None:
            made.append(guest)
            raise KeyboardInterrupt

    before = len(os.listdir("/proc/self/fd"))
    box = belljar.Sandbox(ledger="none", branches=2) if branch else None
    with monkeypatch.context() as patch:
        patch.setattr("belljar.sandbox.live.box.Asking", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            box.fork() if box else belljar.Sandbox(ledger="none", branches=2)
    family = made[0].family
    if box:
        assert box.eval("1") == 1
        with box.fork() as other:
            assert other.eval("1") == 1
        box.close()
    assert family.over.wait(LONG)
    assert not os.path.exists(f"/proc/{family.init}")
    del made[:], box
    gc.collect()
    until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_a_forked_host_has_neither_the_sandbox_nor_its_branches() -> None:
    with belljar.Sandbox(ledger="none", branches=2) as box, box.fork() as branch:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for one in (box, branch):
                    with pytest.raises(belljar.SandboxEnded):
                        one.eval("1")
                    one.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        assert (box.eval("1"), branch.eval("2")) == (1, 2)


def test_async_sandboxes_have_branches_too() -> None:
    async def main() -> list[int]:
        async with belljar.AsyncSandbox(ledger="none", branches=3) as box:
            await box.run("x = 20")
            branches = [await box.fork() for _ in range(3)]
            found = await asyncio.gather(*(b.eval(f"x + {n}") for n, b in enumerate(branches)))
            for one in branches:
                await one.close()
            return found

    assert asyncio.run(main()) == [20, 21, 22]


def test_a_branch_is_made_between_calls() -> None:
    with belljar.Sandbox(ledger="none", branches=2) as box:
        box.share("outside", functions={"fork": lambda: box.fork() and None}, messages=True)
        error = box.run("host.outside.fork()").error
        assert error is not None
        assert box.eval("1") == 1


def test_a_branch_goes_on_in_the_file_of_the_output(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    with belljar.Sandbox(ledger="none", branches=1, stdout=str(out)) as box:
        box.run("print('before')")
        with box.fork() as branch:
            branch.run("print('branch')")
        box.run("print('after')")
    assert out.read_text() == "before\nbranch\nafter\n"


def test_what_is_appended_counts_for_all_branches_together(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    grants: dict[str, Any] = {"append": [f"{log}/"], "disk": "64K", "ledger": "none"}
    with belljar.Sandbox(branches=2, **grants) as box:
        with pytest.raises(PolicyError, match="disk=: what is appended counts for all"):
            box.fork(disk="32K")
        branch = box.fork()
        result = branch.run(
            f"import time\nwith open({str(log / 'a')!r}, 'a') as file:\n"
            "    for _ in range(100):\n        file.write('x' * 4096); file.flush()\n"
            "        time.sleep(0.05)\n"
        )
        assert result.ended_by == "disk"
