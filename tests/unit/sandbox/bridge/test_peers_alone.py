"""Signals, forks, started programs and descriptors: what a process does besides, and the bridge."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any

import pytest
from plain import Plain

from belljar.errors import GuestEnded, GuestError

PATIENCE = 60.0
DEFINITIONS = "def host(*what): return peer.request('call', what)"


@pytest.fixture
def guest() -> Any:
    with Plain(lambda op, body, request: body[1]) as plain:
        plain.peer.request("run", (DEFINITIONS,))
        yield plain


def call(guest: Plain, name: str, *args: Any) -> Any:
    return guest.peer.request("call", (name, args, {}), time.monotonic() + PATIENCE)


def test_a_signal_of_the_guest_breaks_a_call_and_not_the_bridge() -> None:
    """An alarm whose handler raises while the guest waits for the host."""
    answered = []

    def serve(op: str, body: Any, request: Any) -> Any:
        if body == "slow":
            time.sleep(0.05)
        answered.append(body)
        return body

    with Plain(serve) as guest:
        guest.peer.request(
            "run",
            ("import signal, time\n"
             "class Late(TimeoutError): pass\n"
             "def late(*_): raise Late\n"
             "signal.signal(signal.SIGALRM, late)\n"
             "def within(seconds, what):\n"
             "  signal.setitimer(signal.ITIMER_REAL, seconds)\n"
             "  try: return peer.request('call', what)\n"
             "  except Late: return 'late'\n"
             "  finally: signal.setitimer(signal.ITIMER_REAL, 0)\n"
             "def many(n):\n"
             "  signal.signal(signal.SIGALRM, lambda *_: None)\n"
             "  signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)\n"
             "  try: return [peer.request('call', i) for i in range(n)] == list(range(n))\n"
             "  finally:\n"
             "    signal.setitimer(signal.ITIMER_REAL, 0)\n"
             "    signal.signal(signal.SIGALRM, late)\n",),
        )  # fmt: skip
        assert call(guest, "within", 0.01, "slow") == "late"
        assert call(guest, "within", 60.0, "fast") == "fast"
        assert call(guest, "many", 500) is True
        assert "slow" in answered
        assert call(guest, "within", 60.0, "again") == "again"


def test_signals_that_raise_at_any_moment_lose_no_answer() -> None:
    with Plain(lambda op, body, request: body) as guest:
        guest.peer.request(
            "run",
            ("import signal\n"
             "class Late(TimeoutError): pass\n"
             "def late(*_): raise Late\n"
             "def one(i, seconds):\n"
             "  try:\n"
             "    try:\n"
             "      signal.setitimer(signal.ITIMER_REAL, seconds)\n"
             "      return peer.request('call', i) == i\n"
             "    finally: signal.setitimer(signal.ITIMER_REAL, 0)\n"
             "  except Late: return None\n"
             "def many(n):\n"
             "  signal.signal(signal.SIGALRM, late)\n"
             "  found = [one(i, 1e-6 + (i % 100) * 2e-6) for i in range(n)]\n"
             "  signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
             "  return False in found, found.count(None)\n",),
        )  # fmt: skip
        wrong, late = call(guest, "many", 2000)
        assert not wrong
        assert late
        assert guest.peer.request("run", ("1 + 1",), time.monotonic() + PATIENCE) == 2


def test_a_forked_child_of_the_guest_has_no_bridge(guest: Plain) -> None:
    guest.peer.request(
        "run",
        ("import os\n"
         "def forks():\n"
         "  r, w = os.pipe()\n"
         "  pid = os.fork()\n"
         "  if pid == 0:\n"
         "    try: host('echo', 1)\n"
         "    except ConnectionError as e: os.write(w, str(e).encode())\n"
         "    return 'the child goes on'\n"
         "  os.close(w)\n"
         "  text = b''\n"
         "  while True:\n"
         "    more = os.read(r, 500)\n"
         "    if not more: break\n"
         "    text += more\n"
         "  return text.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])",),
    )  # fmt: skip
    assert call(guest, "forks") == ("a forked process has no bridge to the host", 0)
    assert call(guest, "host", "echo", 3) == 3


def test_a_request_whose_answer_is_broken_off_is_answered_all_the_same() -> None:
    main = (
        "def serve(op, body, request):\n  if body: raise ValueError\n"
        "def report(error): raise KeyboardInterrupt\n"
        "sys.excepthook = lambda *_: None\n"
        "peer = Peer(3, serve, report)\npeer.loop()\n"
    )
    with Plain(main=main) as guest:
        with pytest.raises(GuestError, match="broken off"):
            guest.peer.request("get", 1, time.monotonic() + PATIENCE)
        assert guest.peer.request("get", 0, time.monotonic() + PATIENCE) is None


def test_threads_of_the_guest_learn_that_the_host_is_gone() -> None:
    read, write = os.pipe()
    main = (
        "import threading, posix\n"
        "def work():\n"
        "  try: peer.request('call', 1)\n"
        "  except ConnectionError as e: posix.write(OUT, b'%s\\n' % str(e).encode())\n"
        "peer = Peer(3, lambda *_: None)\n"
        "threads = [threading.Thread(target=work) for _ in range(5)]\n"
        "for t in threads: t.start()\n"
        "peer.loop()\n"
        "for t in threads: t.join()\n"
    )
    with Plain(main=main.replace("OUT", str(write)), keep=(write,)) as guest:
        os.close(write)
        finish = time.monotonic() + PATIENCE
        while len(guest.sock.recv(4096, socket.MSG_PEEK)) < 5 * 16:  # all of them have asked
            assert time.monotonic() < finish
    with open(read, "rb") as told:
        assert told.read() == b"the host is gone\n" * 5


def test_a_program_that_the_guest_starts_does_not_inherit_the_bridge(guest: Plain) -> None:
    guest.peer.request(
        "run",
        ("import subprocess, sys\ndef seen(): return subprocess.call([sys.executable, '-c', "
         "'import os; os.fstat(3)'], close_fds=False, stderr=-3)",),
    )  # fmt: skip
    assert call(guest, "seen") == 1


def test_a_host_that_forked_cannot_speak_for_its_parent(guest: Plain) -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            call(guest, "host", "echo", 1)
        except GuestEnded as error:
            os.write(write, str(error).encode())
            guest.peer.close()  # its own, not its parent's
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    assert b"forked" in os.read(read, 500)
    os.close(read)
    assert call(guest, "host", "echo", 3) == 3


def test_descriptors_reach_the_guest() -> None:
    main = (
        "import _socket, array\n"
        "sock = _socket.socket(fileno=3)\n"
        "def receive(n):\n"
        "  data, more, _, _ = sock.recvmsg(n, _socket.CMSG_SPACE(4 * 32))\n"
        "  for _, _, fds in more: peer.received.extend(array.array('i', fds))\n"
        "  return data\n"
        "import posix\n"
        "def serve(op, body, request):\n"
        "  fd = peer.descriptors.pop(body)\n"
        "  try: return posix.pread(fd, 100, 0)\n"
        "  finally: posix.close(fd)\n"
        "peer = Peer(3, serve, receive=receive)\npeer.loop()\nsock.detach()\n"
    )
    with Plain(main=main) as guest:
        fds = []
        for text in (b"one", b"two"):
            fd = os.memfd_create("x")
            os.write(fd, text)
            fds.append(fd)
        numbers = guest.peer.send_descriptors(fds)
        more = guest.peer.send_descriptors(fds[:1])
        for fd in fds:
            os.close(fd)
        asked = [guest.peer.request("get", number) for number in (*numbers, *more)]
        assert asked == [b"one", b"two", b"one"]


def test_the_host_imports_nothing_slow_for_a_bridge() -> None:
    import subprocess

    code = (
        "import sys; import belljar.sandbox.bridge.peer\n"
        "print(*sorted({'typing', 'dataclasses', 'enum', 're', 'json', 'collections', 'asyncio',"
        " 'threading', 'socket', 'struct', 'functools'} & set(sys.modules)))"
    )
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, check=True, env=env
    )
    assert run.stdout.split() == [b"collections"] or run.stdout.split() == []
