"""Host and guest ask each other, in and out of one another, from any thread."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from plain import Plain

from belljar.errors import GuestError
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
        ("import threading\ndone, go = [], threading.Event()\n"
         "def work():\n  go.wait()\n  done.append(host('echo', 1))\n"
         "def begin():\n"
         "  for k in range(150): threading.Thread(target=work).start()\n"
         "  threading.Timer(0.2, go.set).start()",),
    )  # fmt: skip
    call(guest, "begin")
    finish = time.monotonic() + PATIENCE
    seen, before = 0, -1
    while not seen or seen != before:  # bytes of requests, until they are no more
        before = seen
        time.sleep(0.1)
        with suppress(BlockingIOError):
            seen = len(guest.sock.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        assert time.monotonic() < finish
    assert seen <= 64 * 24
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
