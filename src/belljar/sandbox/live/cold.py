"""The cold engine: a live guest by keeper and exec, as every one-shot run has it. For each tier.

Its descriptor 3 is one end of a socket pair: first come the boot parameters, then the bridge.
"""

from __future__ import annotations

import _socket
import os
import select
import struct
import time
from contextlib import suppress

from belljar.confine.cache import cache_directory
from belljar.confine.keeper import Keeper
from belljar.errors import BelljarError, InternalError
from belljar.sandbox.ending import did_not_start
from belljar.sandbox.live.guest import Guest
from belljar.sandbox.result import Usage
from belljar.sandbox.streams import Streams, parameters
from belljar.sandbox.walls import Walls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final

    from belljar.confine.program import Program
    from belljar.confine.template import Template
    from belljar.model import Policy, Status
    from belljar.sandbox.result import Denial

#: Seconds that a start may take, on a machine that does much else.
PATIENCE: Final = 30.0
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred of unix(7)
_ROOM: Final = _socket.CMSG_SPACE(_CREDENTIALS.size)  # for those and nothing else, a file say
_SO_PASSCRED: Final = 16
_SCM_CREDENTIALS: Final = 2
_READY: Final = b"\x01"


class Raised:
    """Walls that rise around a guest that has not begun, and what leads to it."""

    def __init__(self, walls: Walls, bridge: _socket.socket, streams: Streams) -> None:
        self.walls = walls
        self.bridge = bridge
        self.streams = streams

    def close(self) -> None:
        """End it, and put all away."""
        self.bridge.close()
        self.walls.close()
        self.streams.close()

    def abandon(self) -> None:
        """In a child that the host forked: it is the parent's. Closes our copies, no more."""
        self.bridge.close()
        self.walls.abandon()
        self.streams.close()


def start(
    policy: Policy,
    program: Program,
    tell: Callable[[Denial, Status], None],
    warmed: Template | None = None,
) -> Guest:
    """A guest that waits for its first request, executed or forked from what is `warmed`.
    `program.kind` is `live`. Raises `BelljarError`: then nothing ran, and nothing is left.
    """
    return begin(rise(policy, program, tell, warmed))


def rise(
    policy: Policy,
    program: Program,
    tell: Callable[[Denial, Status], None],
    warmed: Template | None,
    *,
    owned: bool = True,
) -> Raised:
    """The first part of it: all is made, and on its way. A guest that nobody owns yet has no record
    (`Walls.given`)."""
    ours, theirs = _socket.socketpair()
    streams = None
    walls = None
    keeper = None
    try:
        ours.setsockopt(_socket.SOL_SOCKET, _SO_PASSCRED, 1)
        streams = Streams(policy)
        keeper = Keeper(streams.given, theirs.fileno(), warmed)
        streams.handed_over()
        theirs.close()
        walls = Walls(policy, program, keeper, cache_directory(), tell, None, warmed)
        walls.rise(owned=owned)
        return Raised(walls, ours, streams)
    except BaseException:
        theirs.close()
        ours.close()
        if walls is not None:
            walls.close()
        elif keeper is not None:
            keeper.close()
        if streams is not None:
            streams.close()
        raise


def begin(raised: Raised) -> Guest:
    """The second: it begins, and is heard of."""
    walls, ours, streams = raised.walls, raised.bridge, raised.streams
    try:
        pid = _begin(walls, ours, streams.pipes)
        ours.setsockopt(_socket.SOL_SOCKET, _SO_PASSCRED, 0)
        for fd in streams.pipes:
            os.set_blocking(fd, False)
        if walls.program.branches:
            from belljar.sandbox.live.family import Family

            return Family(walls, walls.program.branches).begin(ours, streams, pid)
        return Guest(walls, ours, streams, pid)
    except BaseException:
        raised.close()
        raise


def _begin(walls: Walls, bridge: _socket.socket, pipes: Iterable[int]) -> int:
    """Follow the start until the guest says that it listens; its number among our processes."""
    keeper = walls.keeper
    poll = select.poll()
    for fd in (keeper.report, walls.collector.fileno(), bridge.fileno()):
        poll.register(fd, select.POLLIN)
    for fd in pipes:  # a long traceback of our first lines would fill a pipe that nobody reads
        poll.register(fd, select.POLLIN)
    until = time.monotonic() + PATIENCE + walls.policy.limits.wall
    begun = False
    while True:
        ready = {fd for fd, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000)}
        if not ready:
            walls.keeper.kill()
            raise BelljarError(f"the sandbox did not start in {PATIENCE:.0f} s; nothing ran")
        if keeper.report in ready:
            walls.hear()
        walls.collect(idle=False)
        if keeper.ended:
            walls.lower()
            walls.end_record("refused", 125, 0, Usage())
            raise walls.refusal or did_not_start(walls.exit)
        if not begun and walls.ready:
            with suppress(BrokenPipeError, ConnectionResetError):  # it ended; the keeper will tell
                bridge.sendall(parameters(walls.plan.boot))
            begun = True
        if begun and bridge.fileno() in ready:
            pid = greeting(bridge)
            if pid:
                return pid
            poll.unregister(bridge.fileno())  # its end; the keeper will tell
        for fd in ready.intersection(pipes):
            if not os.read(fd, 65536):
                poll.unregister(fd)


def greeting(bridge: _socket.socket) -> int:
    """The first byte that the guest writes, before any code that is not ours: the kernel says
    whose it is. 0 where it ended instead."""
    try:
        data, control, flags, _ = bridge.recvmsg(1, _ROOM, _socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # it left some of its parameters unread
        return 0
    if data != _READY or flags & _socket.MSG_CTRUNC:  # the kernel lets go of what has no room
        return 0
    for level, kind, said in control:
        if level == _socket.SOL_SOCKET and kind == _SCM_CREDENTIALS:
            pid: int = _CREDENTIALS.unpack(said[: _CREDENTIALS.size])[0]
            if pid > 0:
                return pid
    raise InternalError("the kernel does not say which process the guest is")
