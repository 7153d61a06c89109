"""A live guest and its branches: processes of one sandbox, with one record, each asked by itself.

The family holds the walls and the record; its members are guests like any other, whose ends are
those of single processes. Processes in the sandbox that are no members are ended as they are seen.
"""

from __future__ import annotations

import select
import signal
import threading
import time

from belljar.errors import BelljarError, GuestProtocolError, InternalError
from belljar.sandbox.live.calls import Calls
from belljar.sandbox.live.clocks import parent_of
from belljar.sandbox.live.guest import Guest
from belljar.sandbox.live.processes import Process, end_strays, number_inside
from belljar.watch.own import NOBODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Iterator
    from typing import Any, Final

    from belljar.confine.cgroup import Group
    from belljar.model import Policy
    from belljar.sandbox.judge import Judge
    from belljar.sandbox.result import Result
    from belljar.sandbox.streams import Streams
    from belljar.sandbox.walls import Walls
    from belljar.watch.own import Own

#: Seconds between two looks for processes that nobody asked for, and members that add one more.
_SWEEP: Final = 0.5
_MANY: Final = 32
#: Seconds in which init tells how a process ended that is seen to have.
_GRACE: Final = 1.0
#: Seconds that a new branch waits for an old one to be put away, where there may be no more.
_PATIENCE: Final = 10.0


class Member(Guest):
    """A guest that is one process of its sandbox: the first one, or a branch. `number` is what the
    process is called in there, and so in its events."""

    def __init__(
        self,
        family: Family,
        bridge: _socket.socket,
        streams: Streams,
        process: Process,
        number: int,
        policy: Policy,
        judge: Judge,
        channel: Own | None = None,
    ) -> None:
        super().__init__(family.walls, bridge, streams, process.pid, policy)
        self.family = family
        self.process: Process | None = process
        self.clocks.process = process
        self.number = number
        self.lock = family.lock
        self.judge = judge
        self._calls = Calls(number, judge, family.walls.record)
        #: the first one has none as long as nobody else is there
        self.channel: Own | None = None
        if channel is not None:
            self.speaks(channel)
        #: as of `Walls`: what init told of its end
        self.exit: tuple[int, float, float, int] | None = None
        self._gone = 0.0

    def watched(self) -> tuple[Any, ...]:
        self.family.watched = True
        return self.family, self

    def descriptors(self) -> Iterator[int]:
        assert self.process is not None
        yield self.process.fd
        yield from self.output.pipes
        if self.channel is not None:
            yield self.channel.fd

    def speaks(self, channel: Own) -> None:
        """It has a channel of its own from here on."""
        self._look.unregister(self.walls.collector.fileno())
        self._look.register(channel.fd, select.POLLIN)
        self.channel = channel

    def is_channel(self, fd: int) -> bool:
        return self.channel is not None and fd == self.channel.fd

    def attend(self, fd: int) -> bool:
        process = self.process
        if process is not None and fd == process.fd:
            self._gone = time.monotonic()
            return False
        channel = self.channel
        if channel is not None and fd == channel.fd:
            with self.lock:
                self.collect(idle=False)
            return not channel.ended
        return super().attend(fd)

    def collect(self, *, idle: bool) -> bool:
        """Judge and record what came from this one. The caller holds the lock."""
        if self.channel is None:
            return self.family.collect(idle=idle)
        chunks = self.channel.drain(self.number, idle=idle)
        for chunk in chunks:
            self.keep(chunk)
        return bool(chunks)

    def check(self, now: float) -> None:
        if self._alive and self.channel is not None:
            with self.lock:
                self.collect(idle=True)
        why = self.clocks.over(now) if not self._gone else ""
        if why:
            self.end(why)
        elif self.told_again(now):
            self.kill()

    def kill(self) -> None:
        """End this process; the last one takes the sandbox along. Takes no lock."""
        family, process = self.family, self.process
        if len(family.members) <= 1 and not family.pending:
            self.walls.keeper.kill()
        elif process is not None and not process.send(signal.SIGKILL):
            self.walls.keeper.kill()  # it cannot be ended alone

    def finished(self) -> tuple[Any, ...]:
        told = self.exit is not None or time.monotonic() - self._gone > _GRACE
        done = self.walls.keeper.ended or (self._gone and told)
        return (self,) if done and not self.over.is_set() else ()

    def wait(self) -> None:
        self.over.wait()
        if not self.family.members and not self.family.pending:
            self.family.over.wait()  # it was the last

    def _group(self) -> Group | None:
        return None  # it is the group of all

    def _put_away(self) -> None:
        while self.collect(idle=True):
            pass
        self._calls.flush()
        self.judge.finish()
        self.output.read_all()
        status, number, usage = self._conclude(self.exit)
        missed = self.judge.malformed + (self.number in self.walls.collector.forged)
        self.result = self._whole(status, number, usage).replace(missed=missed)

    def _close(self) -> None:
        self.process = self.clocks.process = None
        if self.channel is not None:
            self.channel.close()
        self.family.left(self)
        if not self.family.watched:  # its owner was interrupted before there was a supervisor
            self.family.put_away()

    def abandon(self) -> None:
        self.process = self.clocks.process = None
        if self.channel is not None:
            self.channel.close()
        super().abandon()


class Family:
    """The sandbox of a guest that may have `most` branches at a time. The supervisor watches it
    beside its members."""

    is_guest = False

    def __init__(self, walls: Walls, most: int) -> None:
        self.walls = walls
        self.most = most
        self.lock = threading.RLock()
        self.over = threading.Event()
        self.members: dict[int, Member] = {}  # by their number in the sandbox
        self.pending = 0  # branches that are being made
        self.watched = False
        self.failure: BaseException | None = None
        self.serve = self.let_go = None
        self.init = 0
        self._first: Member | None = None
        self._result: Result | None = None
        self._others = [0, 0, 0]  # denials, alerts, repeated attempts of branches
        self._stray = 0.0  # processor time of processes that nobody asked for
        self._swept = 0.0

    def begin(self, bridge: _socket.socket, streams: Streams, pid: int) -> Member:
        """The guest that there is first. It waits for its first request, and has run nothing."""
        process = Process(pid)
        self.init = parent_of(pid)
        if not self.init:
            raise InternalError("a sandbox without an init")
        policy, judge = self.walls.policy, self.walls.judge
        first = Member(self, bridge, streams, process, number_inside(pid), policy, judge)
        self._first = self.members[first.number] = first
        self.walls.collector.only = first.number
        return first

    def apart(self, channel: Own) -> None:
        """The first guest has a channel of its own: the one whose path all know is nobody's."""
        first = self._first
        assert first is not None
        with self.lock:
            while self.collect(idle=True):
                pass
            self.walls.collector.only = NOBODY
            self.walls.answer_first = channel.answer
            first.speaks(channel)

    def reserve(self) -> None:
        """One more is to be made. Raises `BelljarError` where there are as many as may be."""
        until = time.monotonic() + _PATIENCE
        while True:
            with self.lock:
                members = list(self.members.values())
                live = sum(one is not self._first for one in members) + self.pending
                if live < self.most:
                    self.pending += 1
                    return
                ending = [one for one in members if not one.alive and one is not self._first]
            if not ending or time.monotonic() > until:
                raise BelljarError(
                    f"{self.most} branches of this sandbox live already: close one, or make the "
                    "sandbox with more (branches=)"
                )
            ending[0].over.wait(_PATIENCE)

    def unreserve(self) -> None:
        """It was made, or not."""
        with self.lock:
            self.pending -= 1
            last = not self.members and not self.pending
        if last:
            self.walls.keeper.kill()

    def join(self, member: Member) -> None:
        """A branch that waits for its first request. Raises `GuestProtocolError` for a process
        that is another branch already."""
        with self.lock:
            if member.number in self.members:
                raise GuestProtocolError("from the guest: two branches are one process")
            self.walls.left.pop(member.number, None)  # of another one, which had the number before
            self.members[member.number] = member

    def left(self, member: Member) -> None:
        """One that has ended and is put away. The last one's end is that of the sandbox."""
        with self.lock:
            self.members.pop(member.number, None)
            if member is self._first:
                self._result = member.result
                self.walls.collector.only = NOBODY
            else:
                self._count(member.judge)
                self.walls.collector.forget(member.number)
            last = not self.members and not self.pending
        if last:
            self.walls.keeper.kill()

    def _count(self, judge: Judge) -> None:
        counts = len(judge.denials), len(judge.alerts), judge.repeated
        self._others = [a + b for a, b in zip(self._others, counts, strict=True)]
        self.walls.judge.events += judge.events

    # --- for the supervisor ---------------------------------------------------------------

    def descriptors(self) -> Iterator[int]:
        """What is polled for all of them."""
        walls = self.walls
        yield from (walls.collector.fileno(), walls.keeper.report)
        yield from walls.appended.fds

    def attend(self, fd: int) -> bool:
        """Take what is ready; False where it is to be polled no more."""
        walls = self.walls
        with self.lock:
            if fd == walls.keeper.report:
                walls.hear()
                self._heard()
                if walls.over:
                    self.end(walls.over)
                return not walls.keeper.ended
            if fd in walls.appended.fds:
                if not walls.appended.take(fd):
                    self.end("disk")
                return True
            self.collect(idle=False)
            return walls.collector.only != NOBODY  # who writes there still, waits there

    def is_channel(self, fd: int) -> bool:
        """As of a guest."""
        return fd == self.walls.collector.fileno()

    def _heard(self) -> None:
        walls = self.walls
        if self._first is not None and self._first.exit is None:
            self._first.exit = walls.exit
        for number, member in self.members.items():
            if number in walls.left:
                member.exit = walls.left.pop(number)
        if not self.pending:
            walls.left.clear()

    def collect(self, *, idle: bool) -> bool:
        """Judge and record what came from the first guest, as long as it is alone. The caller holds
        the lock."""
        chunks = self.walls.collector.drain(idle=idle)
        first = self._first
        for chunk in chunks:
            if first is not None:
                first.keep(chunk)
        return bool(chunks)

    def check(self, now: float) -> None:
        """Look for the last events, and for processes that nobody asked for."""
        with self.lock:
            if not self.walls.keeper.ended and self.walls.collector.only != NOBODY:
                self.collect(idle=True)
        period = _SWEEP * (1 + len(self.members) // _MANY)
        if now - self._swept > period and not self.pending:
            self._swept = now
            self._sweep()

    def _sweep(self) -> None:
        limits = self.walls.policy.limits
        tasks = limits.processes + limits.threads + self.most + 1
        self._stray += end_strays(self.init, tasks, self._members_now, self.lock)
        if self._stray > limits.cpu:
            self.end("cpu")

    def _members_now(self) -> set[int] | None:
        """Their processes; None where one is being made."""
        return None if self.pending else {one.pid for one in list(self.members.values())}

    def serve_idle(self) -> None:
        """Each member serves itself."""

    def finished(self) -> tuple[Any, ...]:
        """Members that have ended; then itself."""
        done: list[Any] = [one for each in list(self.members.values()) for one in each.finished()]
        if self.walls.keeper.ended and not self.members and not self.pending:
            done.append(self)
        return tuple(done)

    def end(self, why: str) -> None:
        """End all of them."""
        for member in list(self.members.values()):
            member.failure = member.failure or self.failure
            member.end(why)
        if not self.members:
            self.walls.keeper.kill()

    def put_away(self) -> None:
        """All have ended, and so has the keeper: the end of the record."""
        with self.lock:
            if self.over.is_set():
                return
            walls = self.walls
            try:
                while self.collect(idle=True):
                    pass
                walls.appended.finish()
                walls.lower()
                whole = self._result
                if whole is not None:
                    others = self._others[0], self._others[1], self._others[2]
                    usage = whole.usage.replace(events=walls.judge.events)
                    walls.end_record(whole.ended_by, whole.status, whole.signal, usage, others)
            finally:
                try:
                    walls.close()
                finally:
                    self.over.set()

    def abandon(self) -> None:
        """In a child that the host forked."""
        self.lock, self.over = threading.RLock(), threading.Event()
        self.walls.abandon()
        self.over.set()
