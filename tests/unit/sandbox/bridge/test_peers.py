"""Host and guest ask each other, in and out of one another, from any thread."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import pytest
from plain import Plain

from belljar.errors import GuestEnded, GuestError
from belljar.sandbox.bridge.peer import RaisedForGuest
from belljar.sandbox.guest.values import Unsendable

PATIENCE = 60.0


def echo(op: str, body: Any, request: Any) -> Any:
    """A host that does what the guest says."""
    if op != "call":
        return op, body
    name, *args = body
    if name == "echo":
        return args[0]
    if name == "back":
        return request("call", ("back", (args[0],), {}))
    if name == "raise":
        raise args[0](*args[1:])
    raise AssertionError(name)


DEFINITIONS = """
import time
def host(*what): return peer.request("call", what)
def back(n): return 0 if n <= 0 else 1 + host("back", n - 1)
def fails(): raise ValueError("no", "such")
def ask(n): return sum(host("echo", 1) for _ in range(n))
"""


@pytest.fixture
def guest() -> Any:
    with Plain(echo) as plain:
        plain.peer.request("run", (DEFINITIONS,))
        yield plain


def call(guest: Plain, name: str, *args: Any) -> Any:
    return guest.peer.request("call", (name, args, {}), time.monotonic() + PATIENCE)


def in_threads(*works: Any) -> list[Any]:
    """What each gave or raised, once all have ended."""
    results: list[Any] = [None] * len(works)

    def run(at: int) -> None:
        try:
            results[at] = works[at]()
        except BaseException as error:
            results[at] = error

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a call has not come back"
    return results


def test_a_value_of_a_run_comes_back(guest: Plain) -> None:
    assert guest.peer.request("run", ("1 + 1",)) == 2
    assert guest.peer.request("put", ("x", {"a": [1]})) is None
    assert guest.peer.request("get", "x") == {"a": [1]}


def test_the_guest_asks_the_host_within_a_call(guest: Plain) -> None:
    assert call(guest, "host", "echo", [1, "x"]) == [1, "x"]
    assert call(guest, "ask", 200) == 200


def test_both_may_nest_to_the_depth_and_not_beyond(guest: Plain) -> None:
    # the host's call is the first, each turn of `back` makes two more
    assert call(guest, "back", 15) == 15
    with pytest.raises(GuestError) as raised:
        call(guest, "back", 16)
    assert raised.value.type_name == "RecursionError"
    assert call(guest, "back", 15) == 15
    assert guest.peer.request("run", ("1",)) == 1


def test_an_exception_of_the_guest_is_its_name_and_text(guest: Plain) -> None:
    with pytest.raises(GuestError) as raised:
        call(guest, "fails")
    assert raised.value.type_name == "ValueError"
    assert raised.value.message == "('no', 'such')"
    assert raised.value.__cause__ is None


def test_the_guest_sees_no_message_of_a_host_exception_that_was_not_meant_for_it() -> None:
    def serve(op: str, body: Any, request: Any) -> Any:
        if body == "open":
            with open("/nonexistent/secret"):
                pass
        if body == "meant":
            raise RaisedForGuest("PermissionError", "only /a")
        if body == "odd":
            raise RaisedForGuest("UnicodeDecodeError", "x")
        if body == "base":
            raise RaisedForGuest("SystemExit", "x")
        return object()

    with Plain(serve) as guest:
        tell = (
            "def tell(what):\n  try: peer.request('call', what)\n"
            "  except BaseException as e: return type(e).__name__, str(e)"
        )
        guest.peer.request("run", (tell,))
        assert call(guest, "tell", "open") == ("FileNotFoundError", "")
        assert call(guest, "tell", "meant") == ("PermissionError", "only /a")
        assert call(guest, "tell", "odd") == ("HostError", "UnicodeDecodeError: x")
        assert call(guest, "tell", "base") == ("HostError", "SystemExit: x")
        assert call(guest, "tell", "object")[0] == "TypeError"


def test_what_cannot_be_sent_raises_where_it_is_and_the_session_goes_on(guest: Plain) -> None:
    with pytest.raises(Unsendable):
        call(guest, "host", object())
    with pytest.raises(GuestError, match="Unsendable"):
        guest.peer.request("run", ("print",))
    with pytest.raises(GuestError, match="Unsendable"):
        guest.peer.request("run", ("'x' * (65 << 20)",))
    with pytest.raises(GuestError, match="Unsendable"):
        guest.peer.request("run", ("[None] * 10_000_000",))
    assert guest.peer.request("run", ("1",)) == 1


def test_much_goes_both_ways_at_once(guest: Plain) -> None:
    """Each writes more than the socket holds before it reads."""
    guest.peer.request(
        "run",
        ("import threading\nbig = b'g' * 900_000\n"
         "def send(): [host('echo', big) for _ in range(20)]\n"
         "def begin():\n  global t\n  t = threading.Thread(target=send); t.start()\n"
         "def size(x): return len(x)",),
    )  # fmt: skip
    call(guest, "begin")
    mine = b"h" * 900_000
    for _ in range(20):
        assert call(guest, "size", mine) == len(mine)
    finish = time.monotonic() + PATIENCE
    while guest.peer.request("run", ("t.is_alive()",)):
        assert time.monotonic() < finish
        guest.peer.serve_waiting()


def test_threads_of_both_sides_get_their_own_answers(guest: Plain) -> None:
    guest.peer.request(
        "run",
        ("import threading\nwrong = []\n"
         "def work(k):\n"
         "  for i in range(100):\n"
         "    if host('echo', (k, i)) != (k, i): wrong.append((k, i))\n"
         "def begin():\n  global ts\n"
            "  ts = [threading.Thread(target=work, args=(k,)) for k in range(8)]\n"
         "  for t in ts: t.start()\n"
         "def same(x): return host('echo', x)\n"
         "def alive(): return sum(t.is_alive() for t in ts)",),
    )  # fmt: skip
    call(guest, "begin")

    def work(k: int) -> None:
        for i in range(100):
            assert call(guest, "same", (k, i)) == (k, i)

    assert in_threads(*(lambda k=k: work(k) for k in range(4))) == [None] * 4
    finish = time.monotonic() + PATIENCE
    while call(guest, "alive"):
        assert time.monotonic() < finish
        guest.peer.serve_waiting()
    assert guest.peer.request("get", "wrong") == []


def test_more_threads_of_the_guest_than_may_ask_at_once_take_their_turns(guest: Plain) -> None:
    guest.peer.request(
        "run",
        ("import threading\ndone = []\n"
         "def begin():\n"
         "  for k in range(150):\n"
            "    threading.Thread(target=lambda: done.append(host('echo', 1))).start()",),
    )  # fmt: skip
    call(guest, "begin")
    finish = time.monotonic() + PATIENCE
    while guest.peer.request("run", ("len(done)",)) < 150:
        assert time.monotonic() < finish
        guest.peer.serve_waiting()


def test_a_thread_of_the_guest_is_served_while_nobody_waits(guest: Plain) -> None:
    guest.peer.request(
        "run",
        ("import threading\nfound = []\n"
         "def begin(): threading.Thread(target=lambda: found.append(host('echo', 5))).start()",),
    )  # fmt: skip
    assert guest.peer.serve_waiting() == 0
    call(guest, "begin")
    finish = time.monotonic() + PATIENCE
    while guest.peer.request("get", "found") != [5]:
        assert time.monotonic() < finish
        guest.peer.serve_waiting()


def test_a_host_function_that_blocks_stops_no_other_thread() -> None:
    blocked, go_on = threading.Event(), threading.Event()

    def serve(op: str, body: Any, request: Any) -> Any:
        if body == "block":
            blocked.set()
            assert go_on.wait(PATIENCE)
        return body

    with Plain(serve) as guest, Plain(serve) as other:
        for one in (guest, other):
            one.peer.request("run", ("def host(x): return peer.request('call', x)",))
        works = in_threads

        def second() -> Any:
            assert blocked.wait(PATIENCE)
            found = call(other, "host", 7), guest.peer.busy
            go_on.set()
            return found

        assert works(lambda: call(guest, "host", "block"), second) == ["block", (7, True)]


def test_a_host_thread_may_go_on_with_what_another_serves() -> None:
    """As a coroutine does, whose loop is another thread: the guest waits for its own call alone."""

    def serve(op: str, body: Any, request: Any) -> Any:
        inside = guest.peer.inside()
        work = lambda: guest.peer.request_for(inside, "call", ("back", (body,), {}))  # noqa: E731
        return in_threads(work)[0]

    with Plain(serve) as guest:
        guest.peer.request(
            "run", ("def back(x): return x + 1\ndef host(x): return peer.request('call', x)",)
        )
        assert call(guest, "host", 5) == 6
        assert guest.peer.inside() is None


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
             "class Late(Exception): pass\n"
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
             "class Late(Exception): pass\n"
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
