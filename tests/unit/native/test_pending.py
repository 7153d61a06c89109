"""Events that pend in shared memory: none is lost, none comes twice, all come in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from belljar.events.decode import decode
from belljar.watch.attach import environment, settings
from belljar.watch.collect import Collector
from belljar.watch.run import watch

BASE = {"PATH": "/usr/bin:/bin"}
CLONE, EXECVE = {"x86_64": (56, 59), "aarch64": (220, 221)}.get(os.uname().machine, (220, 221))


def python(source: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", source]


def numbers(found, pid):
    return [event.seq for event in found.events if event.pid == pid]


def whole(found, pid):
    """Are the events of this process all there, each once, in order?"""
    return numbers(found, pid) == list(range(1, len(numbers(found, pid)) + 1))


@pytest.mark.parametrize("reading", [True, False], ids=["while-it-is-read", "unread"])
def test_what_was_announced_before_a_kill_is_in_the_record(reading):
    source = (
        "import os, sys\n"
        "for k in range(2500):\n"
        "    sys.audit('mark', k)\n"
        "    os.write(1, k.to_bytes(4, 'little'))\n"
    )
    for _ in range(12):
        with Collector() as collector:
            env = environment(BASE, collector.path, page=collector.page)
            child = subprocess.Popen(python(source), env=env, stdout=subprocess.PIPE)
            assert child.stdout is not None
            child.stdout.read(4)
            chunks = []
            until = time.monotonic() + random.uniform(0, 0.006)
            while time.monotonic() < until:
                chunks += collector.drain(idle=True) if reading else []
            child.kill()
            announced = 1 + len(child.stdout.read()) // 4
            child.wait()
            child.stdout.close()
            while more := collector.drain(idle=True):
                chunks += more
            events = [decode(frame) for chunk in chunks for frame in frames(chunk.data)]
            marks = [event.args[0] for event in events if event and event.name == "mark"]
            assert announced <= len(marks)
            assert marks == list(range(len(marks)))
            assert {f.kind for f in collector.finish()} <= {"vanished"}


def frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[2:4], "little")
        if data[4] == 2:
            found.append(data[:size])
        data = data[size:]
    return found


def test_events_that_pend_and_events_that_do_not_keep_their_order(run_code):
    found = run_code(
        "import sys\n"
        "for k in range(3000):\n"
        "    sys.audit('socket.fake' if k % 7 == 3 else 'mark', k, 'x' * (k % 1000))\n"
    )
    told = [e.args[0] for e in found.events if e.name in ("mark", "socket.fake")]
    assert told == list(range(3000))
    assert whole(found, found.pid)
    assert found.findings == []


def test_threads_that_mix_both_keep_one_numbering(run_code):
    found = run_code(
        "import sys, threading\n"
        "def work():\n"
        "    for k in range(400): sys.audit('socket.fake' if k % 5 == 0 else 'mark', k)\n"
        "threads = [threading.Thread(target=work) for _ in range(6)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
    )
    assert len(found.named("mark")) + len(found.named("socket.fake")) == 2400
    assert whole(found, found.pid)
    assert found.findings == []


def test_parent_and_child_of_a_fork_are_both_whole(run_code):
    found = run_code(
        "import os, sys\n"
        "for k in range(50): sys.audit('mark', k)\n"
        "for round in range(3):\n"
        "    pid = os.fork()\n"
        "    for k in range(50): sys.audit('mark', k)\n"
        "    if not pid: os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
    )
    assert len(found.marks()) == 50 + 3 * 100
    assert all(whole(found, hello.header.pid) for hello in found.hellos)
    assert found.findings == []


def test_a_fork_behind_the_c_librarys_back_does_not_spoil_the_page(run_code):
    found = run_code(
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "for k in range(5): sys.audit('mark', 'before')\n"
        f"pid = libc.syscall({CLONE}, 17, 0, 0, 0, 0)\n"
        "for k in range(300): sys.audit('mark', 'parent' if pid else 'child')\n"
        "os.waitpid(pid, 0) if pid else os._exit(0)\n"
    )
    marks = found.marks()
    counts = [marks.count(who) for who in ("before", "parent", "child")]
    assert counts == [5, 300, 300], found.err
    assert "malformed" not in {f.kind for f in found.findings}


def test_an_exec_leaves_nothing_behind_and_the_next_program_may_pend(run_code):
    second = "import sys; [sys.audit('mark', k) for k in range(60)]"
    found = run_code(
        "import os, sys\n"
        "for k in range(30): sys.audit('mark', k)\n"
        f"os.execv(sys.executable, {python(second)!r})\n"
    )
    assert found.marks() == [*range(30), *range(60)]
    assert [len(found.hellos), len(found.byes)] == [2, 2]
    assert found.findings == []


def test_what_pends_at_a_raw_exec_comes_before_the_next_hello(run_code):
    found = run_code(
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "words = [w.encode() for w in (sys.executable, '-I', '-S', '-c', 'pass')]\n"
        "env = [f'{k}={v}'.encode() for k, v in os.environ.items()]\n"
        "argv = (ctypes.c_char_p * 6)(*words, None)\n"
        "envp = (ctypes.c_char_p * (len(env) + 1))(*env, None)\n"
        "call = libc.syscall\n"
        "for k in range(9): sys.audit('mark', k)\n"
        f"call({EXECVE}, argv[0], argv, envp)\n"
    )
    assert found.marks() == list(range(9)), found.err
    kinds = [frame[4] for frame in found.raw]
    assert kinds.count(1) == 2
    assert {f.kind for f in found.findings} == {"vanished"}  # the first took no leave


def test_a_failed_exec_leaves_a_process_that_writes_each_event(run_code):
    found = run_code(
        "import os, sys\n"
        "sys.audit('mark', 1)\n"
        "try: os.execv('/nowhere', ['x'])\n"
        "except OSError: pass\n"
        "for k in range(50): sys.audit('mark', 2)\n"
    )
    assert found.marks() == [1] + [2] * 50
    assert found.findings == []


def test_without_a_page_every_event_is_written(run_code):
    found = run_code("import sys\nfor k in range(99): sys.audit('mark', k)", paged=False)
    assert found.marks() == list(range(99))
    assert found.findings == []


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8192, bytes(100)], ids=["empty", "full", "short"]
)
def test_a_page_that_is_none_is_left_alone(content, run_code, tmp_path):
    page = tmp_path / "page"
    page.write_bytes(content)
    source = "import sys\nfor k in range(99): sys.audit('mark', k)"
    found = run_code(source, paged=False, env={"BELLJAR_PAGE": str(page)})
    assert found.marks() == list(range(99))
    assert page.read_bytes() == content


@pytest.mark.parametrize(("mode", "strict"), [("block", True), ("block", False), ("drop", False)])
def test_a_collector_that_dies_keeps_nobody_waiting(mode, strict):
    source = (
        "import sys\n"
        "print('on', flush=True); sys.stdin.read(1)\n"
        "for k in range(5000): sys.audit('mark', k)\n"
        "print('through')\n"
    )
    with Collector() as collector:
        chosen = collector.settings(settings(mode))
        env = environment(BASE, collector.path, page=collector.page, strict=strict, settings=chosen)
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        child = subprocess.Popen(python(source), env=env, **pipes)
        assert child.stdout is not None
        assert child.stdout.readline() == b"on\n"
        os.close(collector._fd)
        os.close(collector._writer)
        collector._fd = collector._writer = -1  # close() would end the record in order
        out, err = child.communicate(b"x", timeout=10)
    expected = (0, b"through\n") if mode == "drop" else (125, b"")
    assert (child.returncode, out) == expected, err


def test_events_of_an_idle_program_arrive_within_fifty_milliseconds():
    source = (
        "import sys, time\n"
        "for period in range(6):\n"
        "    for k in range(30): sys.audit('mark', k)\n"
        "    time.sleep(0.15)\n"
    )
    late = []

    def take(chunks):
        now = time.time_ns()
        for chunk in chunks:
            marks = [e for e in map(decode, frames(chunk.data)) if e and e.name == "mark"]
            late.extend(now - event.time for event in marks)

    watched = watch(python(source), BASE, take)
    assert watched.findings == ()
    assert len(late) == 180
    worst = [max(late[at : at + 30]) for at in range(0, 180, 30)]
    assert sorted(worst)[2] < 50e6, worst  # a busy machine may delay some


def test_a_variable_that_is_set_is_named_and_not_told(run_code):
    found = run_code("import os; os.environ['TOKEN'] = 'hunter2'; os.putenv('A', 'hunter2')")
    assert [event.args for event in found.named("os.putenv")] == [(b"TOKEN", None), (b"A", None)]
    (frame, *_) = [f for f in found.raw if b"\xa9os.putenv" in f and b"compile" not in f]
    assert b"hunter2" not in frame


def test_a_denial_is_told_at_the_guests_own_line(interpreter, record, tmp_path):
    boot = "import sys\ndef refuse():\n    sys.audit('belljar.denied', 'import', 'x', 'x')\n"
    tail = "refuse(); exec(compile('\\n\\nrefuse()', 'guest.py', 'exec'))"
    source = f"exec(compile({boot + tail!r}, '/belljar/boot.py', 'exec'), {{}})"
    found = record([interpreter, "-I", "-S", "-c", source])
    places = [event.stack[0] for event in found.named("belljar.denied")]
    assert [(p.file, p.line) for p in places] == [("<string>", 1), ("guest.py", 3)]


def test_the_line_of_a_site_that_repeats_is_its_own(run_code):
    found = run_code(
        "import sys, gc, weakref\n"
        "def make(n):\n"
        "    text = '\\n' * n + 'import sys; sys.audit(\"mark\", %d)' % n\n"
        "    code = compile(text, f'f{n}', 'exec')\n"
        "    for _ in range(4): exec(code)\n"
        "    return weakref.ref(code)\n"
        "kept = [make(n) for n in range(300)]\n"
        "gc.collect()\n"
        "print(sum(r() is not None for r in kept))\n"
    )
    places = [(e.args[0], e.stack[0].file, e.stack[0].line) for e in found.named("mark")]
    assert places == [(n, f"f{n}", n + 1) for n in range(300) for _ in range(4)]
    assert int(found.out) <= 64  # what is kept for speed is bounded


def test_a_killed_program_is_told_up_to_its_last_event(run_code):
    found = run_code(
        "import os, sys\nfor k in range(7): sys.audit('mark', k)\nos.kill(os.getpid(), 9)\n"
    )
    assert found.status == -signal.SIGKILL
    assert found.marks() == list(range(7))
    assert found.events[-1].name == "os.kill"
    assert [f.kind for f in found.findings] == ["vanished"]


def test_a_program_that_scribbles_over_its_page_hurts_only_its_own_record():
    source = (
        "import os, random, sys\n"
        "fd = os.open(os.environ['BELLJAR_PAGE'], os.O_RDWR)\n"
        "for k in range(2000):\n"
        "    sys.audit('socket.fake' if k % 50 == 0 else 'mark', k)\n"
        "    os.pwrite(fd, os.urandom(40), random.randrange(8150))\n"
        "os._exit(7)\n"
    )
    watched = watch(python(source), BASE, lambda chunks: None)
    assert watched.status == 7
    assert "malformed" in {finding.kind for finding in watched.findings}
