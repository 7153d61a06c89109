"""Both ends of shared memory in one process: what a guest does, without a guest."""

from __future__ import annotations

import os
from typing import Any

import belljar.sandbox.guest.values  # noqa: F401  before its other parts
from belljar.sandbox.guest.buffers import Memories
from belljar.sandbox.live.buffers import Buffers, Incoming, Outgoing

ROOM = 64 << 20


class Joined:
    """`to_guest` and `to_host` pass one value; `host` and `guest` are the two ends."""

    def __init__(self, room: int = ROOM) -> None:
        self.host = Buffers(room)
        self.sent: dict[int, int] = {}
        self.guest = Memories(self.host.allot, lambda place: self.sent.pop(place[0]))

    def to_guest(self, value: Any) -> Any:
        out = Outgoing(self.host)
        try:
            reference = out.refer(value)
            for number, fd in out.fds:
                self.sent[number] = os.dup(fd)
        finally:
            out.done()
        assert reference is not None
        return self.guest.resolve(*self.placed(reference))

    @staticmethod
    def placed(reference: Any) -> Any:
        """With the place of the descriptor, which here is the memory's number."""
        return reference[1], (*reference[2], reference[1])

    def reference(self, value: Any) -> Any:
        """What the guest sends for a value; that of a list of one, so that the value can end."""
        reference = self.guest.refer(value.pop() if type(value) is list else value)
        assert reference is not None
        return reference[1:]

    def to_host(self, value: Any) -> Any:
        reference = self.reference(value)
        self.host.drop(self.sent_and_dropped())
        return self.believe(*reference)

    def sent_and_dropped(self) -> list[int]:
        """The guest's message is on its way; what it has no use for any more."""
        self.guest.written()
        return self.guest.dropped()

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
