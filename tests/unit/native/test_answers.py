"""An event that asks waits: what it gets is the answer to this very event, or a refusal in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from belljar._native import answer, unskipped
from belljar.watch.answers import ALLOW, DENY, KILL
from belljar.watch.attach import environment, settings
from belljar.watch.collect import ASK, Collector

BASE = {"PATH": "/usr/bin:/bin"}
FIXED = 32


def number(data: bytes, at: int) -> tuple[int, int]:
    """The MessagePack number at `at`, and where the next value begins."""
    if data[at] < 0x80:
        return data[at], at + 1
    width = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xD2: 4}[data[at]]
    return int.from_bytes(data[at + 1 : at + 1 + width], "big"), at + 1 + width


class Answering:
    """Runs a program and answers what it asks with `verdict(pid, argument)`; None: not at all.

    `asked` are (pid, the integer that is the event's first argument) in the order they came. With
    `stale`, that is what every earlier event is answered again before the new one is.
    """

    def __init__(self, source, verdict, *, deadline=5.0, stale=None):
        self.asked: list[tuple[int, int]] = []
        self.places: list[tuple[int, int]] = []
        self.stale = stale
        self.verdict = verdict
        with Collector() as collector:
            self.collector = collector
            env = environment(
                BASE,
                collector.path,
                page=collector.page,
                answers=collector.answers,
                settings=collector.settings(settings("block", deadline, select=[("ask", "ask")])),
            )
            pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", source], env=env, text=True, **pipes
            )
            out: list[str] = []
            reader = threading.Thread(target=lambda: out.extend(child.communicate(timeout=60)))
            reader.start()
            while reader.is_alive():
                self._answer(collector.drain(idle=True))
                time.sleep(0.0005)
            reader.join()
            self._answer(collector.drain(idle=True))
            self.out, self.err = out
            self.status = child.returncode
            self.findings = collector.finish()

    def _answer(self, chunks):
        for chunk in chunks:
            for at, size in chunk.flagged:
                frame = chunk.data[at : at + size]
                if frame[4] == 2 and frame[5] & ASK:
                    self._one(frame)

    def _one(self, frame):
        body = frame[FIXED:]
        # [name, [argument], place, directory, slot]: the slot is what the frame ends with
        assert body[0] == 0x95
        assert body[1:5] == b"\xa3ask"
        argument, _ = number(body, 6)
        sizes = [s for s in (5, 3, 2, 1) if number_or_none(body[-s:]) is not None]
        slot, _ = number(body, len(body) - sizes[0])
        pid = int.from_bytes(frame[8:12], "little")
        self.asked.append((pid, argument))
        verdict = self.verdict(pid, argument)
        for place in self.places if self.stale else ():
            self.collector.answer(*place, self.stale)
        self.places.append((slot, int.from_bytes(frame[16:24], "little")))
        if verdict is not None:
            self.collector.answer(*self.places[-1], verdict)


def number_or_none(data):
    try:
        found, end = number(data, 0)
    except (KeyError, IndexError):
        return None
    return found if end == len(data) else None


def asks(count: int) -> str:
    return (
        "import sys, os\n"
        "def ask(k):\n"
        "    try: sys.audit('ask', k)\n"
        "    except PermissionError as e: return str(e)\n"
        f"print([ask(k) for k in range({count})])\n"
    )


REFUSED = "Permission denied: ask is refused by a rule"
LATE = "Permission denied: the record did not acknowledge ask in time"


def test_an_event_that_is_allowed_goes_on_and_one_that_is_not_raises():
    found = Answering(asks(20), lambda _pid, k: DENY if k % 3 == 0 else ALLOW)
    told = eval(found.out)
    assert [text and REFUSED in text for text in told] == [
        True if k % 3 == 0 else None for k in range(20)
    ], found.err
    assert (found.status, found.findings) == (0, [])


def test_kill_ends_the_process_before_the_operation():
    source = "import sys\nprint('before', flush=True)\nsys.audit('ask', 1)\nprint('after')\n"
    found = Answering(source, lambda _pid, _k: KILL)
    assert (found.status, found.out) == (-signal.SIGKILL, "before\n")
    assert found.findings == []  # it was told to end


def test_no_answer_is_a_refusal_when_the_deadline_passes():
    started = time.monotonic()
    found = Answering(asks(2), lambda _pid, k: ALLOW if k else None, deadline=0.3)
    told = eval(found.out)
    assert LATE in told[0]
    assert told[1] is None
    assert 0.3 < time.monotonic() - started < 5


def test_an_answer_that_comes_too_late_answers_nothing_else():
    found = Answering(asks(3), lambda _pid, k: DENY if k else None, deadline=0.2, stale=ALLOW)
    told = eval(found.out)
    assert [LATE in told[0], REFUSED in told[1], REFUSED in told[2]] == [True] * 3, found.err


@pytest.mark.parametrize("overflow", ["drop", "exit", "block"])
def test_a_collector_that_is_killed_while_a_process_waits_refuses_at_once(overflow, tmp_path):
    code = (
        "import sys, time\n"
        "from belljar.watch.collect import Collector\n"
        "from belljar.watch.attach import settings\n"
        "c = Collector(sys.argv[1])\n"
        f"chosen = settings({overflow!r}, 30, select=[('ask', 'ask')])\n"
        "print(c.path, c.answers, c.settings(chosen))\n"
        "sys.stdout.flush()\n"
        "while True:\n"
        "    c.drain(); time.sleep(0.01)\n"
    )
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    collector = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=env, stdout=subprocess.PIPE, text=True
    )
    assert collector.stdout is not None
    path, answers, chosen = collector.stdout.readline().split()
    source = (
        "import os, sys\nos.write(1, b'on\\n')\n"
        "try: sys.audit('ask', 1)\n"
        "except PermissionError as e: os.write(1, e.strerror.encode())\n"
        "sys.audit('socket.fake')\nos.write(1, b' through')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", source],
        env=environment(BASE, path, answers=answers, settings=chosen),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "on\n"
    time.sleep(0.3)
    collector.kill()
    collector.communicate()
    started = time.monotonic()
    out, err = child.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert LATE in out
    if overflow == "drop":
        assert (child.returncode, out.removeprefix(LATE)) == (0, " through")
    else:
        assert child.returncode == 125
        assert err == "belljar: the record's channel is gone\n"


def test_threads_take_turns_and_each_gets_its_own_answer():
    source = (
        "import sys, threading\n"
        "wrong = []\n"
        "def work(n):\n"
        "    for k in range(n * 1000, n * 1000 + 100):\n"
        "        refused = False\n"
        "        try: sys.audit('ask', k)\n"
        "        except PermissionError: refused = True\n"
        "        if refused != (k % 7 == 2): wrong.append(k)\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
        "print(wrong)\n"
    )
    found = Answering(source, lambda _pid, k: DENY if k % 7 == 2 else ALLOW)
    assert found.out == "[]\n", found.err
    assert len(found.asked) == 800
    assert found.findings == []


def test_forked_children_get_their_own_answers():
    source = (
        "import os, sys\n"
        "sys.audit('ask', 0)\n"
        "def right(k): return (k * 2654435761 ^ os.getpid()) % 3 == 0\n"
        "children = []\n"
        "for n in range(2):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        wrong = 0\n"
        "        for k in range(1, 501):\n"
        "            refused = False\n"
        "            try: sys.audit('ask', k)\n"
        "            except PermissionError: refused = True\n"
        "            wrong += refused != right(k)\n"
        "        os._exit(min(wrong, 100))\n"
        "    children.append(pid)\n"
        "print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])\n"
    )

    def verdict(pid, k):
        return DENY if k and (k * 2654435761 ^ pid) % 3 == 0 else ALLOW

    found = Answering(source, verdict)
    assert found.out == "[0, 0]\n", found.err
    assert len(found.asked) == 1001
    assert found.findings == []


def test_a_child_forked_while_another_thread_asks_can_ask_itself():
    source = (
        "import os, sys, threading\n"
        "thread = threading.Thread(target=sys.audit, args=('ask', 1))\n"
        "thread.start()\n"
        "for _ in range(20):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        sys.audit('ask', 2)\n"
        "        os._exit(3)\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3\n"
        "thread.join()\n"
        "print('through')\n"
    )
    found = Answering(source, lambda _pid, _k: ALLOW)
    assert (found.status, found.out) == (0, "through\n"), found.err


def test_a_program_that_is_executed_asks_anew():
    again = "import sys; sys.audit('ask', 2); print('through')"
    source = (
        "import os, sys\nsys.audit('ask', 1)\n"
        f"os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', {again!r}])\n"
    )
    found = Answering(source, lambda _pid, _k: ALLOW)
    assert (found.status, found.out) == (0, "through\n"), found.err
    assert [k for _, k in found.asked] == [1, 2]
    assert found.findings == []


def test_slots_of_the_dead_are_taken_over():
    with Collector() as collector:
        gone = subprocess.Popen(["/bin/true"])
        gone.wait()
        space = os.stat("/proc/self/ns/pid").st_ino & 0xFFFFFFFF
        slot = (space << 32 | gone.pid).to_bytes(8, "little") + bytes(8)
        with open(collector.answers, "r+b") as file:
            file.write(slot * 4096)
        chosen = collector.settings(settings(deadline=0.2, select=[("ask", "ask")]))
        env = environment(BASE, collector.path, answers=collector.answers, settings=chosen)
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", asks(1)], env=env, capture_output=True, text=True
        )
        assert LATE in done.stdout, done.stderr
        (frame,) = [
            chunk.data[at : at + size]
            for chunk in collector.drain()
            for at, size in unskipped(chunk.data, set())
            if chunk.data[at + 5] & ASK
        ]
        assert frame[FIXED] == 0x95  # it has a slot
        with open(collector.answers, "rb") as file:
            content = file.read()
        assert content.count(bytes(8)) == 4095 + 2  # given up at the end


def test_without_a_slot_an_event_that_asks_is_refused_at_once():
    with Collector() as collector:
        with open(collector.answers, "r+b") as file:
            file.write((b"\xff" * 8 + bytes(8)) * 4096)  # owned by someone we cannot judge
        chosen = collector.settings(settings(deadline=60, select=[("ask", "ask")]))
        env = environment(BASE, collector.path, answers=collector.answers, settings=chosen)
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", asks(3)],
            env=env, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    assert done.stdout.count(LATE) == 3, done.stderr


@pytest.mark.parametrize("harm", ["os.ftruncate(fd, 0)", "os.pwrite(fd, b'\\xff' * 65536, 0)"])
def test_a_process_that_ruins_the_answers_file_harms_only_itself(harm):
    source = (
        "import os, sys\nfd = os.open(os.environ['BELLJAR_ANSWERS'], os.O_RDWR)\n"
        "try: sys.audit('ask', 1)\n"
        "except PermissionError: pass\n"
        f"{harm}\n"
        "try: sys.audit('ask', 2)\n"
        "except PermissionError: pass\n"
    )
    found = Answering(source, lambda _pid, _k: ALLOW, deadline=0.5)
    assert found.status in (0, -signal.SIGBUS)
    with Collector() as collector:
        os.truncate(collector.answers, 0)
        for slot in (0, 4095, 2**31 - 1, 2**31, -1, 2**63, 2**100):
            collector.answer(slot, 7, ALLOW)
        assert os.path.getsize(collector.answers) <= 65536


@pytest.mark.parametrize(
    "wrong",
    [(0, 1, 1), (-1, 1, 1), (1 << 31, 1, 1), (1, -1, 1), (1, 1 << 64, 1), (1, 1, 0), (1, 1, 4)],
)
def test_what_cannot_be_an_answer_is_refused(wrong, tmp_path):
    with open(tmp_path / "answers", "w+b") as file:
        file.truncate(65536)
        if wrong == (0, 1, 1):
            assert answer(file.fileno(), *wrong)
            return
        with pytest.raises((ValueError, OverflowError)):
            answer(file.fileno(), *wrong)
    with open(tmp_path / "answers", "rb") as file:
        assert not answer(file.fileno(), 0, 1, 1)  # not open for writing
