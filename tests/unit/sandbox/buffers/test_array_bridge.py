"""Large values over a real bridge, with a guest in a process of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from guests import Arrays

from belljar.errors import BelljarError, GuestEnded, GuestError, GuestProtocolError
from belljar.sandbox.guest.values import Unsendable
from belljar.sandbox.live import arrays

BIG = 100_000


@pytest.fixture
def guest() -> Iterator[Arrays]:
    with Arrays() as one:
        yield one


def test_an_array_goes_in_and_comes_out(guest: Arrays) -> None:
    guest.run("def double(a):\n return a * 2")
    for _ in range(3):
        got = guest.call("double", np.arange(BIG))
        assert (got == np.arange(BIG) * 2).all()
        got[0] = 7  # it is the host's
    guest.run("1")
    assert guest.buffers.used == 0


def test_what_the_guest_changed_in_place_comes_back_changed(guest: Arrays) -> None:
    guest.run("def fill(a):\n a[:] = 5\n return a")
    mine = np.zeros(BIG)
    assert (guest.call("fill", mine) == 5).all()
    assert not mine.any()


def test_shared_arrays_are_read_where_they_lie(guest: Arrays) -> None:
    mine = arrays.array((BIG,), "f8")
    mine[:] = 1
    guest.peer.request("put", ("a", mine))
    assert guest.run("float(a.sum())") == BIG
    mine[:] = 2
    assert guest.run("float(a.sum())") == 2 * BIG
    with pytest.raises(GuestError, match="read-only"):
        guest.run("a[0] = 3")
    assert np.shares_memory(guest.run("a"), mine)


def test_memory_of_the_guests_own_is_handed_over(guest: Arrays) -> None:
    guest.run("def make(n):\n a = array((n,), 'i8')\n a[:] = range(n)\n return a")
    got = guest.call("make", BIG)
    assert (got == np.arange(BIG)).all()
    base = got.base
    assert type(base).__name__ == "mmap"  # that memory itself
    assert guest.buffers.used == 0


def test_what_the_guest_keeps_does_not_change_what_the_host_has(guest: Arrays) -> None:
    guest.run("a = array((100000,), 'i8')")
    got = guest.run("a")
    guest.run("a[:] = 9")
    assert not got.any()
    assert guest.buffers.used == BIG * 8
    guest.run("del a")
    guest.run("1")
    assert guest.buffers.used == 0


@pytest.mark.parametrize(
    "value", [b"x" * 5_000_000, bytearray(b"y" * 5_000_000)], ids=lambda v: type(v).__name__
)
def test_bytes_beyond_a_frame_or_not_are_bytes(value: Any, guest: Arrays) -> None:
    guest.run("def same(v):\n return type(v).__name__, v")
    assert guest.call("same", value) == (type(value).__name__, value)
    guest.run("1")
    assert guest.buffers.used == 0


def test_arrays_cross_in_calls_of_the_guest_too() -> None:
    def serve(op: str, body: Any, _request: Any) -> object:
        number, name, (array,), _ = body
        assert (op, number, name) == ("call", 1, "double")
        return array * 2

    with Arrays(serve) as guest:
        guest.run("import numpy as np")
        source = "peer.request('call', (1, 'double', (np.arange(100000),), {}))"
        assert (guest.run(source) == np.arange(BIG) * 2).all()
        assert guest.run(f"sum(int(({source})[1]) for _ in range(5))") == 10
        guest.run("1")
        assert guest.buffers.used == 0


def test_threads_of_the_guest_ask_with_arrays_at_the_same_time() -> None:
    def serve(_op: str, body: Any, _request: Any) -> object:
        return body[2][0] + 1

    with Arrays(serve) as guest:
        guest.run(
            "import numpy as np, threading\n"
            "def ask(n):\n"
            " for turn in range(10):\n"
            "  a = np.full(100000, n)\n"
            "  wrong.append((peer.request('call', (1, 'f', (a,), {})) != n + 1).any())\n"
            "def work():\n"
            " threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]\n"
            " [t.start() for t in threads]\n"
            " [t.join() for t in threads]\n"
            " return len(wrong), any(map(bool, wrong))\n"
            "wrong = []"
        )
        done: list[Any] = []
        waiting = threading.Thread(target=lambda: done.append(guest.call("work")))
        waiting.start()
        while waiting.is_alive():
            guest.peer.serve_waiting()
            waiting.join(0.001)
        assert done == [(40, False)]


def test_a_message_that_cannot_be_written_leaves_nothing(guest: Arrays) -> None:
    guest.run("def count(*a):\n import os\n return len(os.listdir('/proc/self/fd'))")
    guest.call("count", np.zeros(BIG))
    before = guest.call("count")
    for _ in range(20):
        with pytest.raises(Unsendable):
            guest.call("count", [np.zeros(BIG), object()])
    guest.run("1")
    assert guest.buffers.used == 0
    guest.call("count", np.zeros(BIG))
    assert guest.call("count") == before


def test_more_than_its_room_is_a_memory_error_inside() -> None:
    with Arrays(room=1 << 20) as guest:
        with pytest.raises(GuestError, match="no room"):
            guest.run("array((1 << 20,))")
        with pytest.raises(BelljarError, match="too large for the guest"):
            guest.call("print", np.zeros(1 << 20))
        assert guest.run("array((1000,)).shape") == (1000,)


def test_a_guest_without_room_for_a_descriptor_says_so(guest: Arrays) -> None:
    guest.run("def size(a):\n return a.size")
    guest.call("size", np.zeros(BIG))
    guest.run(
        "import resource, os, traceback\n"
        "try: 1 / 0\nexcept ZeroDivisionError: traceback.format_exc()\n"  # what that imports later
        "low = os.dup(0)\nos.close(low)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (low, 4096))"
    )
    with pytest.raises(GuestError, match="open file"):
        guest.call("size", np.zeros(BIG))
    guest.run("resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))")
    assert guest.call("size", np.zeros(BIG)) == BIG


def test_descriptors_that_a_guest_sends_do_not_arrive(guest: Arrays) -> None:
    before = len(os.listdir("/proc/self/fd"))
    guest.run(
        "import socket, array as numbers\n"
        "s = socket.socket(fileno=os.dup(3)) if 'os' in globals() else None\n"
        "import os\ns = socket.socket(fileno=os.dup(3))\n"
        "def send():\n"
        " import struct\n"
        " body = b'(' + struct.pack('<I', 0)\n"
        " s.sendmsg([], [(1, 1, numbers.array('i', [0, 1, 2]))])\n"
        " return 5"
    )
    assert guest.call("send") == 5
    assert len(os.listdir("/proc/self/fd")) == before


FORGED = {
    "memory of nobody": "(3, 77, (('array', '|u1', (4,), 'C', 0), None))",
    "more than it has": "(3, number, (('array', '|u1', (1 << 40,), 'C', 0), None))",
    "objects": "(3, number, (('array', '|O8', (4,), 'C', 0), None))",
    "no entry": "(3, number)",
    "a list": "(3, number, [1, 2])",
    "deep": "(3, number, (('array', '|u1', ((4,),), 'C', 0), None))",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_forged_references_end_the_bridge(forged: str) -> None:
    with Arrays() as guest:
        guest.run(
            "peer.take_descriptors()\npeer.request('buffer', 0)\n"
            "number = peer.request('buffer', 100)[0]\n"
            "class Forged: pass\n"
            f"peer._others['refer'] = lambda value: {forged}\n"
        )
        with pytest.raises(GuestProtocolError):
            guest.run("Forged()")
        assert guest.peer.over is not None
        assert guest.buffers.used == 0


@pytest.mark.parametrize("body", ["-1", "True", "'x'", "1 << 80", "None", "(1,)", "1.5"])
def test_asking_for_no_memory_ends_the_bridge(body: str) -> None:
    with Arrays() as guest:
        guest.run("peer.take_descriptors()\npeer.request('buffer', 0)")
        with pytest.raises(GuestProtocolError):
            guest.run(f"peer.request('buffer', {body})")


@pytest.mark.parametrize("body", ["5", "None", "('a',)", "(1.5,)", "[1]"])
def test_dropping_what_has_no_number_ends_the_bridge(body: str) -> None:
    with Arrays() as guest:
        guest.run("1")
        with pytest.raises(GuestProtocolError):
            guest.run(f"peer.note('free', {body})")


def test_memory_is_not_given_to_who_cannot_take_it() -> None:
    with Arrays() as guest, pytest.raises(GuestProtocolError, match="reads no descriptors"):
        guest.run("peer.request('buffer', 100)")


def test_the_end_of_a_guest_frees_what_it_had(guest: Arrays) -> None:
    guest.run("a = array((100000,))")
    guest.peer.request("put", ("b", np.zeros(BIG)))
    assert guest.buffers.used == 2 * BIG * 8
    with pytest.raises(GuestEnded):
        guest.run("import os; os._exit(3)")
    guest.peer.close()
    assert guest.buffers.used == 0
