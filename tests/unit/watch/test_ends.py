"""How a watched process ended: by which signal, and who sent it, as far as anybody can tell."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading

import msgspec

from belljar.watch import ends
from belljar.watch.collect import Chunk
from belljar.watch.ends import End, Ends, _info, _stat
from belljar.watch.run import Watched, watch

BASE = {"PATH": "/usr/bin:/bin"}
CHILD = (
    "import os, signal, subprocess, sys, time\n"
    "def start(code='import time; time.sleep(60)', **how):\n"
    "    code = 'print(1, flush=True); ' + code\n"
    "    one = subprocess.Popen([sys.executable, '-I', '-S', '-c', code], stdout=-1, **how)\n"
    "    one.stdout.readline()\n"
    "    return one\n"
)


def run(source: str) -> Watched:
    return watch([sys.executable, "-I", "-S", "-c", source], BASE, lambda _chunks: None)


def kernel_tells() -> bool:
    """Does this kernel (6.15) say of a process that was waited for how it ended?"""
    child = subprocess.Popen(["sleep", "60"])
    held = os.pidfd_open(child.pid)
    try:
        child.kill()
        child.wait()
        return _info(held) == signal.SIGKILL
    finally:
        os.close(held)


def others(found: Watched) -> list[End]:
    return [end for end in found.ends if end.pid != found.pid]


def test_a_process_that_another_kills_is_told_with_both() -> None:
    found = run(CHILD + "one = start(); one.kill(); one.wait()")
    (end,) = others(found)
    assert (end.signal, end.by, str(end)) == (9, found.pid, f"SIGKILL from {found.pid}")
    assert found.end == End(found.pid, found.end.start, 0, 0)
    assert found.findings == ()


def test_who_ends_a_group_is_told_of_its_members() -> None:
    found = run(CHILD + "one = start(start_new_session=True); os.killpg(one.pid, 15); one.wait()")
    if kernel_tells():
        assert [str(end) for end in others(found)] == [f"SIGTERM from {found.pid}"]
        assert found.findings == ()


def test_what_nobody_announced_has_a_signal_and_no_sender() -> None:
    found = run(CHILD + "one = start('import signal; signal.raise_signal(15)'); one.wait()")
    (finding,) = found.findings
    assert finding.kind == "vanished"
    if kernel_tells():
        (end,) = others(found)
        assert (end.signal, end.by) == (15, 0)
        assert str(finding).endswith(" (SIGTERM)")


def test_an_exit_status_and_a_handled_signal_are_no_signal() -> None:
    code = "import os; os._exit(3)"
    found = run(CHILD + f"one = start({code!r}); os.kill(one.pid, 18); one.wait()")
    assert found.findings == ()
    if kernel_tells():
        assert [(end.status, end.signal, end.by) for end in others(found)] == [(3, 0, 0)]


def test_a_signal_sent_that_did_not_end_it_is_not_told() -> None:
    ignores = "import signal, sys; signal.signal(15, lambda *_: sys.exit(4)); signal.pause()"
    code = CHILD + f"one = start({ignores!r}); time.sleep(0.2); one.terminate(); one.wait()"
    found = run(code)
    assert [end.signal for end in others(found) if end.status == 4] == [0] * kernel_tells()


def test_the_command_itself_and_what_belljar_passed_on() -> None:
    found = run("import os; os.kill(os.getpid(), 9)")
    assert (found.signal, str(found.end)) == (9, "SIGKILL from itself")
    (finding,) = found.findings
    assert str(finding).endswith(" (SIGKILL from itself)")

    def pass_on(chunks: object) -> None:
        if not sent:
            sent.append(threading.get_ident())
            os.kill(os.getpid(), signal.SIGTERM)  # as a service manager would

    sent: list[int] = []
    argv = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]
    found = watch(argv, BASE, pass_on)
    assert (found.signal, str(found.end)) == (15, "SIGTERM that belljar passed on")


def test_many_that_come_and_go_leave_no_descriptors_and_are_all_told(monkeypatch) -> None:
    monkeypatch.setattr(ends, "_MOST_HELD", 2)
    monkeypatch.setattr(ends, "_EVERY", 1)
    before = len(os.listdir("/proc/self/fd"))
    found = run(CHILD + "for k in range(6): one = start(); one.kill(); one.wait()")
    assert [end.signal for end in others(found)] == [9] * 6
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_number_that_is_another_process_here_holds_nobody() -> None:
    """As of a process in a PID namespace, or of one that lies about which it is."""
    child = subprocess.Popen(["sleep", "60"])
    with Ends() as found:
        start = _stat(child.pid)[0]
        for begun, held in ((start + 1, 0), (start, 1)):
            body = msgspec.msgpack.encode(["3.11", 1, ["p"], None, 0, None, 0, begun])
            head = struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(body), 1, 0, 2, child.pid, 7, 0, 0)
            found.take([Chunk(head + body, 1, ((0, 32 + len(body)),))])
            assert len(found._held) == held
        child.kill()  # a zombie: on every kernel
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert found.finish(1, 0)[0] == End(child.pid, start, -1, 9)
        assert found._held == {}
    child.wait()
