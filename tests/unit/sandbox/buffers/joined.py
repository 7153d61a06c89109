"""Both ends of shared memory in one process: what a guest does, without a guest."""

from __future__ import annotations

import os
from typing import Any

from belljar.sandbox.guest.buffers import Memories
from belljar.sandbox.live.buffers import Buffers, Incoming, Outgoing

ROOM = 64 << 20


class Joined:
    """`to_guest` and `to_host` pass one value; `host` and `guest` are the two ends."""

    def __init__(self, room: int = ROOM) -> None:
        self.host = Buffers(room)
        self.sent: dict[int, int] = {}
        self.guest = Memories(self.host.allot, self.sent.pop)

    def to_guest(self, value: Any) -> Any:
        out = Outgoing(self.host)
        try:
            reference = out.refer(value)
            for number, fd in out.fds:
                self.sent[number] = os.dup(fd)
        finally:
            out.done()
        assert reference is not None
        return self.guest.resolve(*reference[1:])

    def reference(self, value: Any) -> Any:
        """What the guest sends for a value; that of a list of one, so that the value can end."""
        reference = self.guest.refer(value.pop() if type(value) is list else value)
        assert reference is not None
        return reference[1:]

    def to_host(self, value: Any) -> Any:
        reference = self.reference(value)
        self.host.drop(self.guest.sent())
        return self.believe(*reference)

    def believe(self, *reference: Any) -> Any:
        """What the host makes of a reference."""
        incoming = Incoming(self.host)
        try:
            return incoming.resolve(*reference)
        finally:
            incoming.done()

    def close(self) -> None:
        self.host.close()
        for fd in self.sent.values():
            os.close(fd)
