"""A guest that sends whatever it is told to, at the other end of a host's peer."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from belljar.sandbox.bridge.peer import Peer
from belljar.sandbox.bridge.wire import BridgeLimits
from belljar.sandbox.guest import ops
from belljar.sandbox.guest.values import dumps

PATIENCE = 30.0
HEAD = struct.Struct("<IBII")


def frame(kind: int, number: int, parent: int, body: bytes) -> bytes:
    return HEAD.pack(len(body), kind, number, parent) + body


def reply(number: int, value: object = None) -> bytes:
    return frame(ops.REPLY, number, 0, dumps(value))


def asks(number: int, parent: int = 0, op: str = "call", body: object = None) -> bytes:
    return frame(ops.REQUEST, number, parent, bytes([ops.GUEST_ASKS[op]]) + dumps(body))


def notes(value: object = ()) -> bytes:
    return frame(ops.NOTE, 0, 0, bytes([ops.GUEST_NOTES["drop"]]) + dumps(value))


class Guest:
    """The other end: reads frames and sends bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def read(self) -> tuple[int, int, int, bytes]:
        length, kind, number, parent = HEAD.unpack(self.exactly(13))
        return kind, number, parent, self.exactly(length)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)


@contextmanager
def against(
    script: Callable[[Guest], None], serve: Any = lambda op, body, request: body, **limits: int
) -> Iterator[Peer]:
    """A host's peer whose guest is `script` in a thread; its socket is closed behind it."""
    ours, theirs = socket.socketpair()
    peer = Peer(ours, serve, BridgeLimits(**limits))

    def run() -> None:
        with theirs:
            try:
                script(Guest(theirs))
            except (EOFError, OSError):
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield peer
    finally:
        peer.close()
        thread.join(PATIENCE)
        ours.close()
        assert not thread.is_alive()


def soon() -> float:
    return time.monotonic() + PATIENCE


def ask(peer: Peer, deadline: float | None = None) -> Any:
    return peer.request("run", "x", deadline or soon())


def answering(*frames: bytes, stays: bool = True) -> Callable[[Guest], None]:
    """Waits for the host's first request, then sends, and stays until the host is done."""

    def script(guest: Guest) -> None:
        guest.read()
        for one in frames:
            guest.send(one)
        while stays and guest.sock.recv(1 << 16):
            continue

    return script
