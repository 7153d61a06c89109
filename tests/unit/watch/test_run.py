"""What `watch` gives to the program and to whoever listens."""

from __future__ import annotations

import os
import signal
import sys
import time

from belljar._native import unskipped
from belljar.watch.answers import ALLOW, DENY, KILL
from belljar.watch.attach import settings
from belljar.watch.collect import ASK
from belljar.watch.run import watch

BASE = {"PATH": "/usr/bin:/bin"}


def python(source: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", source]


class Answering:
    """Answers every event that asks, as its slot, the frame's last number, tells."""

    def __init__(self, verdict):
        self.verdict = verdict
        self.asked = 0

    def ready(self, collector):
        self.collector = collector
        assert os.path.exists(collector.directory + "/settings")

    def take(self, chunks):
        for chunk in chunks:
            for at, size in unskipped(chunk.data, {b"import", b"open"}):
                frame = chunk.data[at : at + size]
                if frame[5] & ASK:
                    self.asked += 1
                    assert frame[-5] in (0xCE, 0xD2)
                    slot = int.from_bytes(frame[-4:], "big")
                    self.collector.answer(
                        slot, int.from_bytes(frame[16:24], "little"), self.verdict
                    )


def test_what_asks_is_answered_without_delay():
    source = "import sys, time\nt = time.perf_counter()\n" + (
        "for k in range(300): sys.audit('ask', k)\nprint(time.perf_counter() - t, flush=True)\n"
        "assert time.perf_counter() - t < 0.6, time.perf_counter() - t\n"  # a nap is 3 ms
    )
    answering = Answering(ALLOW)
    found = watch(
        python(source),
        BASE,
        answering.take,
        settings=settings(select=[("ask", "ask")]),
        ready=answering.ready,
    )
    assert (found.status, found.findings) == (0, ())
    assert answering.asked == 300


def test_what_is_denied_raises_in_the_program():
    answering = Answering(DENY)
    found = watch(
        python("import sys\ntry: sys.audit('ask')\nexcept PermissionError: sys.exit(7)"),
        BASE,
        answering.take,
        settings=settings(select=[("ask", "ask")]),
        ready=answering.ready,
    )
    assert found.status == 7


def test_nobody_answers_and_the_deadline_ends_the_wait():
    started = time.monotonic()
    found = watch(
        python("import sys\ntry: sys.audit('ask')\nexcept PermissionError: sys.exit(7)"),
        BASE,
        lambda _chunks: None,
        settings=settings(deadline=0.2, select=[("ask", "ask")]),
    )
    assert found.status == 7
    assert 0.2 < time.monotonic() - started < 10


def test_a_prefix_is_started_instead_and_executes_the_program():
    names = []
    found = watch(
        python("import sys; sys.exit(len(sys.argv))"),
        {**BASE, "X": "1"},
        names.extend,
        prefix=["/usr/bin/env", "X=2"],
    )
    assert found.status == 1
    assert found.events > 0
    assert found.findings == ()


def test_nothing_is_given_that_was_not_asked_for():
    source = (
        "import os, sys\n"
        "sys.exit(sorted(k for k in os.environ if k.startswith('BELLJAR_'))"
        " != ['BELLJAR_CHANNEL', 'BELLJAR_PAGE'])\n"
    )
    assert watch(python(source), {**BASE, "BELLJAR_ANSWERS": "/x"}, lambda _c: None).status == 0


def test_what_outlives_the_program_goes_on_unrecorded(tmp_path):
    late = (
        "import time\nfor k in range(40): open('begun', 'w').close(); time.sleep(0.02)\n"
        "open('done', 'w').close()\n"
    )
    source = (
        "import os, subprocess, sys, time\n"
        f"os.chdir({str(tmp_path)!r})\n"
        f"subprocess.Popen([sys.executable, '-c', {late!r}])\n"
        "while not os.path.exists('begun'): time.sleep(0.01)\n"
        "os._exit(0)\n"
    )
    found = watch(python(source), BASE, lambda _chunks: None)
    assert [finding.kind for finding in found.findings] == ["running"]
    deadline = time.monotonic() + 20
    while not (tmp_path / "done").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "done").exists()


def test_an_interpreter_that_ends_itself_by_a_signal_has_said_farewell():
    found = watch(python("raise KeyboardInterrupt"), BASE, lambda _chunks: None)
    assert (found.signal, found.findings) == (signal.SIGINT, ())


def test_a_process_that_a_rule_ends_has_said_farewell():
    answering = Answering(KILL)
    found = watch(
        python("import sys; sys.audit('ask')"),
        BASE,
        answering.take,
        settings=settings(select=[("ask", "ask")]),
        ready=answering.ready,
    )
    assert (found.signal, found.findings) == (signal.SIGKILL, ())


def test_a_worker_that_its_parent_ends_is_no_flaw_of_the_record():
    source = (
        "import subprocess, sys\n"
        "words = [sys.executable, '-c', \"print('on', flush=True); import time; time.sleep(60)\"]\n"
        "child = subprocess.Popen(words, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nchild.{how}()\nchild.wait()\n"
    )
    for how in ("terminate", "kill"):
        found = watch(python(source.replace("{how}", how)), BASE, lambda _chunks: None)
        assert (found.status, found.findings) == (0, ())


def test_a_process_that_ends_by_its_own_hand_is_a_finding():
    found = watch(python("import os; os.kill(os.getpid(), 9)"), BASE, lambda _chunks: None)
    assert [finding.kind for finding in found.findings] == ["vanished"]
