"""How live sandboxes end: by their limits, their hosts, by accident; and what is left then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import belljar

LONG = 60.0  # seconds; this machine may do much else


def test_a_run_that_takes_too_long_ends_the_guest() -> None:
    with belljar.Sandbox(ledger="none") as box:
        result = box.run("print('begun', flush=True)\nwhile True: pass", timeout=1.0)
        assert (result.ended_by, result.status, result.stdout) == ("wall", 124, b"begun\n")
        with pytest.raises(belljar.SandboxEnded) as ended:
            box.eval("1")
        assert ended.value.ended_by == "wall"
        assert ended.value.result is box.result
    with belljar.Sandbox(ledger="none", wall=1) as box:
        assert box.run("import time; time.sleep(60)").ended_by == "wall"


def test_an_idle_sandbox_is_not_ended_by_its_clock() -> None:
    with belljar.Sandbox(ledger="none", wall=1) as box:
        time.sleep(2.6)  # the one thing that only time can show; the keeper's clock had been 2 s
        assert box.eval("1") == 1


def test_processor_time_is_limited_for_each_call() -> None:
    with belljar.Sandbox(ledger="none", cpu=1) as box:
        spin = "import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass"
        for _ in range(3):
            assert box.run(spin).ended_by == "exit"
        result = box.run("while True: pass")
        assert result.ended_by == "cpu"
        assert 0.9 < result.usage.cpu < 10


def test_processor_time_of_processes_that_it_starts_counts_too() -> None:
    with belljar.Sandbox(ledger="none", cpu=1, processes=4) as box:
        result = box.run("import os\nif os.fork() == 0:\n while True: pass\nos.wait()")
        assert result.ended_by == "cpu"
        assert box.status.level("cpu") == "partial"


def test_processor_time_is_limited_between_calls() -> None:
    with belljar.Sandbox(ledger="none", cpu=1) as box:
        box.run(
            "import threading\ndef spin():\n    while True: pass\n"
            "threading.Thread(target=spin, daemon=True).start()"
        )
        deadline = time.monotonic() + LONG
        while not box.ended_by and time.monotonic() < deadline:
            time.sleep(0.05)
        assert box.ended_by == "cpu"


@pytest.mark.parametrize(
    ("source", "ended_by", "status"),
    [
        ("import os; os.kill(os.getpid(), 11)", "signal", 139),
        ("import os; os._exit(3)", "exit", 3),
        ("import os; os.abort()", "signal", 134),
        ("import os; os.close(3)\nwhile True: pass", "lost", 137),
        ("while True: print('x' * 10000)", "output", 137),
    ],
)
def test_a_guest_that_ends_is_a_typed_result(source: str, ended_by: str, status: int) -> None:
    with belljar.Sandbox(ledger="none", output="1M") as box:
        result = box.run("print('before', flush=True)\n" + source)
        assert (result.ended_by, result.status) == (ended_by, status)
        assert result.stdout.startswith(b"before\n")
        assert len(result.stdout) <= 1 << 20
        with pytest.raises(belljar.SandboxEnded):
            box.run("1")
        if ended_by != "exit":
            with pytest.raises(belljar.SandboxEnded):
                result.check()


@pytest.mark.parametrize("status", [0, 3])
def test_a_function_that_ends_the_guest_has_no_value(status: int) -> None:
    with belljar.Sandbox(ledger="none") as box:
        box.run(f"import os\ndef leave(): os._exit({status})")
        with pytest.raises(belljar.SandboxEnded) as ended:
            box.call("leave")
        assert ended.value.ended_by == "exit"
        assert ended.value.result.status == status
    with belljar.Sandbox(ledger="none") as box, pytest.raises(belljar.SandboxEnded):
        box.eval("__import__('os').close(3)")  # the session ends when it finds out


def test_what_comes_of_running_out_of_memory_is_told_as_that() -> None:
    with belljar.Sandbox(ledger="none", memory="96M") as box:
        result = box.run("x = ['a' * 1000 for n in range(30000)]\nx * 2000")
        assert result.error is not None
        assert result.error.type_name == "MemoryError"
        assert repr(result).startswith("Result(status=1, ended_by='exit', error=")
        assert box.eval("len(x)") == 30000


def test_callbacks_hear_everything_before_the_call_returns_and_hold_up_nobody() -> None:
    heard: list[tuple[int, bytes]] = []
    denied: list[belljar.Denial] = []
    begun, release = threading.Event(), threading.Event()

    def slow(number: int, data: bytes) -> None:
        begun.set()
        release.wait(LONG)

    with (
        belljar.Sandbox(
            ledger="none", on_output=lambda *one: heard.append(one), on_denial=denied.append
        ) as box,
        belljar.Sandbox(ledger="none", on_output=slow) as other,
        belljar.Sandbox(ledger="none", cpu=1) as limited,
    ):
        thread = threading.Thread(target=other.run, args=("print(1)",))
        thread.start()
        assert begun.wait(LONG)
        result = box.run("import sys\nprint('a' * 200000)\nopen('/srv')")
        assert sum(len(data) for _, data in heard) == 200001
        assert len(denied) == len(result.denials)
        box.eval("print('b')")
        assert heard[-1] == (1, b"b\n")
        assert limited.run("while True: pass").ended_by == "cpu"  # the clocks run on
        release.set()
        thread.join(LONG)


def test_a_callback_that_raises_ends_the_guest_and_is_told() -> None:
    def failing(number: int, data: bytes) -> None:
        raise LookupError("mine")

    with belljar.Sandbox(ledger="none", on_output=failing) as box:
        with pytest.raises(LookupError, match="mine"):
            box.run("print(1)\nimport time; time.sleep(60)")
        assert box.ended_by == "failed"


def test_another_thread_interrupts() -> None:
    with belljar.Sandbox(ledger="none") as box:
        results: list[belljar.Result] = []
        thread = threading.Thread(
            target=lambda: results.append(box.run("print(1, flush=True)\nwhile True: pass"))
        )
        thread.start()
        box.interrupt()
        thread.join(LONG)
        assert [r.ended_by for r in results] == ["interrupt"]


def test_an_interrupt_of_the_waiting_thread_ends_the_guest() -> None:
    code = (
        "import belljar, os, signal, threading\n"
        "with belljar.Sandbox(ledger='none') as box:\n"
        "    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    try: box.run('while True: pass')\n"
        "    except KeyboardInterrupt: print('interrupted')\n"
        "print(box.ended_by)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=LONG, check=False
    )
    assert (run.stdout, run.stderr) == (b"interrupted\ninterrupt\n", b"")


def test_a_sandbox_that_is_closed_or_lost_leaves_nothing(tmp_path: Path) -> None:
    import gc

    from belljar.sandbox.live import ready

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    belljar.run("1", ledger="none")
    ready.pool().close()
    gc.collect()  # what earlier tests left in cycles is not of this one
    before, now = -1, descriptors()
    while before != now:  # what earlier tests closed may be put away beside us
        time.sleep(0.2)
        before, now = now, descriptors()
    os.environ["TMPDIR"], old = str(tmp_path), os.environ.get("TMPDIR")
    try:
        for lost in (False, True):
            box = belljar.Sandbox(ledger="none")
            box.eval("1")
            guest = box._guest
            assert list(tmp_path.iterdir()) != []
            if lost:
                del box
                gc.collect()
            else:
                box.close()
            assert guest.over.wait(LONG)
            ready.pool().close()  # one that waits for the next sandbox
            assert list(tmp_path.iterdir()) == []
            assert not Path(f"/proc/{guest.pid}").exists()
        assert descriptors() <= before
    finally:
        os.environ.pop("TMPDIR")
        if old is not None:
            os.environ["TMPDIR"] = old


def test_what_was_shared_is_let_go_when_the_guest_ends_by_itself() -> None:
    import gc
    import weakref

    class Mine:
        def ask(self) -> int:
            return 1

    mine = Mine()
    watched = weakref.ref(mine)
    with belljar.Sandbox(ledger="none") as box:
        box.share("mine", mine, methods=["ask"])
        assert box.eval("host.mine.ask()") == 1
        del mine
        assert watched() is not None
        assert box.run("import os; os.abort()").ended_by == "signal"
        deadline = time.monotonic() + LONG
        while watched() is not None and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.02)
        assert watched() is None


@pytest.mark.parametrize("how", ["os._exit(0)", "os.kill(os.getpid(), 9)", "sys.exit(0)"])
def test_a_host_that_ends_takes_its_guests_with_it(how: str) -> None:
    code = (
        "import belljar, os, sys\n"
        "box = belljar.Sandbox(ledger='none')\n"
        "box.run('import threading; e = threading.Event()')\n"
        "print(box._guest.pid, flush=True)\n" + how
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=LONG, check=False
    )
    assert run.stderr == b""
    pid = int(run.stdout)
    deadline = time.monotonic() + LONG
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_a_child_that_the_host_forked_has_no_part_in_its_guests() -> None:
    code = (
        "import belljar, os, sys, time\n"
        "box = belljar.Sandbox(ledger='none')\n"
        "box.eval('1')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try: box.eval('1')\n"
        "    except belljar.SandboxEnded as e: print(e.ended_by, flush=True)\n"
        "    with belljar.Sandbox(ledger='none') as own: print(own.eval('2'), flush=True)\n"
        "    sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(box.eval('3'), flush=True)\n"
        "if os.fork() == 0:\n"
        "    time.sleep(3600)\n"
        "print(box._guest.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    assert run.stdout is not None
    try:
        lines = [run.stdout.readline().strip() for _ in range(4)]
        assert lines[:3] == ["forked", "2", "3"]
        run.wait(LONG)
        deadline = time.monotonic() + LONG  # the second child sleeps on; the guest must not live
        while Path(f"/proc/{lines[3]}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not Path(f"/proc/{lines[3]}").exists()
    finally:
        run.stdout.close()
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def test_a_fork_amid_calls_of_other_threads_leaves_no_lock_held() -> None:
    with belljar.Sandbox(ledger="none") as box:
        box.share("wait", functions=lambda: (begun.set(), go_on.wait(LONG))[0])
        begun, go_on = threading.Event(), threading.Event()
        caller = threading.Thread(target=box.run, args=("host.wait()",))
        caller.start()
        assert begun.wait(LONG)
        child = os.fork()
        if child == 0:
            signal.alarm(int(LONG))  # a lock that nobody releases
            try:
                box.eval("1")
            except belljar.SandboxEnded:
                box.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        go_on.set()
        caller.join()
        assert box.eval("1") == 1


def test_a_template_does_not_outlive_its_host_in_a_fork_of_it() -> None:
    code = (
        "import belljar, os, time\n"
        "template = belljar.Template().start()\n"
        "print(template.warmed.pid, flush=True)\n"
        "if os.fork() == 0:\n"
        "    os.close(1); os.read(0, 1)\n"  # until the test has seen enough
        "    os._exit(0)\n"
        "os._exit(0)\n"
    )
    one = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with one:
        assert one.stdout is not None
        keeper = int(one.stdout.read())
        assert one.wait(LONG) == 0
        until = time.monotonic() + 20
        while os.path.exists(f"/proc/{keeper}/exe") and time.monotonic() < until:
            time.sleep(0.05)
        gone = not os.path.exists(f"/proc/{keeper}/exe")
        assert one.stdin is not None
        one.stdin.write(b"x")
    assert gone


def test_an_interrupt_while_a_sandbox_is_made_leaves_no_guest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from belljar.sandbox.live import box as module
    from belljar.sandbox.live import ready

    ready.pool().close()  # one that was ready is asked already
    pids: list[int] = []

    def interrupted(guest: object) -> None:
        pids.append(guest.walls.keeper.pid)  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "Asking", interrupted)
    with pytest.raises(KeyboardInterrupt):
        belljar.Sandbox(ledger="none")
    assert not os.path.exists(f"/proc/{pids[0]}")
