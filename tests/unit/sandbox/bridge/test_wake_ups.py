"""Of several threads that wait for the other side one reads, whichever of them gets what it waited
for: who is woken twice and reads not itself wakes another."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from _thread import allocate_lock
from typing import Any

import pytest
from liar import PATIENCE, Guest, against, ask, asks, reply

from belljar.sandbox.bridge import turns


class Late:
    """A lock whose owner sleeps on after it was woken, as a thread does on a loaded machine."""

    def __init__(self) -> None:
        self.lock = allocate_lock()
        self.left = 2 if threading.current_thread().name == "late" else 0  # the first is its own

    def acquire(self, wait: bool = True, seconds: float = -1) -> bool:
        got = self.lock.acquire(wait, seconds)
        self.left -= 1
        if got and self.left == 0:
            awake.wait(PATIENCE)
        return got

    def release(self) -> None:
        self.lock.release()


awake = threading.Event()


def until(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def blocked(peer: Any, count: int) -> bool:
    return sum(waiter.blocked for waiter in list(peer._waiters.values())) == count


def test_a_thread_that_is_handed_a_frame_does_not_keep_the_others_from_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    awake.clear()
    served, go_on, third_done = threading.Event(), threading.Event(), threading.Event()

    def serve(op: str, body: Any, request: Any) -> Any:
        served.set()
        assert go_on.wait(PATIENCE)
        return body

    send: list[Any] = []

    def script(guest: Guest) -> None:
        send.append(guest.send)
        while True:
            guest.read()

    with against(script, serve) as peer:
        found: dict[str, Any] = {}
        threads = []
        for number, name in enumerate(("first", "late", "third"), 1):
            if name == "late":
                monkeypatch.setattr(turns, "allocate_lock", Late)

            def work(name: str = name) -> None:
                found[name] = ask(peer)
                if name == "third":
                    third_done.set()

            threads.append(threading.Thread(target=work, name=name))
            threads[-1].start()
            until(lambda number=number: blocked(peer, number - 1) and len(peer._waiters) == number)
        until(lambda: send)
        send[0](asks(1, parent=2))  # for `late`, who is woken and sleeps on
        send[0](reply(1, "first"))  # and the one who read leaves
        threads[0].join(PATIENCE)
        awake.set()
        assert served.wait(PATIENCE)
        send[0](reply(3, "third"))
        arrived = third_done.wait(5)
        go_on.set()
        send[0](reply(2, "late"))
        for thread in threads:
            thread.join(PATIENCE)
    assert arrived, "nobody read what was the third's"
    assert found == {"first": "first", "late": "late", "third": "third"}


IN_THE_GUEST = """
import socket, struct, sys, threading, time
from belljar.sandbox.guest import incoming, ops
from belljar.sandbox.guest.peer import Peer
from belljar.sandbox.guest.values import dumps

HEAD = struct.Struct("<IBII")
ours, theirs = socket.socketpair()
served, go_on, awake, third_done = (threading.Event() for _ in range(4))

def block(self):
    try:
        self.lock.acquire()
        if self.main:
            awake.wait(30)  # it sleeps on after it was woken
    finally:
        self.blocked = False

def serve(op, body, request):
    served.set()
    go_on.wait(30)

def until(true):
    while not true():
        time.sleep(0.001)

incoming._Waiter.block = block
peer = Peer(theirs.fileno(), serve)
found = {}

def ask(name):
    found[name] = peer.request("call", name)
    if name == "third":
        third_done.set()

def work(name):
    thread = threading.Thread(target=ask, args=(name,), daemon=True)
    thread.start()
    return thread

def send(kind, number, body):
    ours.sendall(HEAD.pack(len(body), kind, number, 0) + body)

first = work("first")
until(lambda: peer._reading.locked())
threading.Thread(target=peer.loop, daemon=True).start()
until(lambda: peer._mains and peer._mains[0].blocked)
third = work("third")
until(lambda: any(waiter.blocked for waiter in list(peer._waiters.values())))
send(ops.REQUEST, 1, bytes([ops.HOST_ASKS["run"]]) + dumps("x"))  # for the main thread
send(ops.REPLY, 1, dumps(1))
first.join(30)
awake.set()
served.wait(30)
send(ops.REPLY, 2, dumps(2))
print(third_done.wait(5), found)
"""


def test_so_it_is_in_the_guest() -> None:
    told = subprocess.run(
        [sys.executable, "-c", IN_THE_GUEST], capture_output=True, text=True, check=False
    )
    assert told.stdout == "True {'first': 1, 'third': 2}\n", told.stderr
