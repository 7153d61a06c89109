"""One live guest as the host sees it: its output, its record, its clocks and its end.

The supervisor's thread and the threads that call into the guest share it under its lock. The
bridge itself is not here: the calling thread alone speaks over it.
"""

from __future__ import annotations

import os
import select
import threading
import time

from belljar.sandbox.ending import how, outcome
from belljar.sandbox.live.calls import Calls
from belljar.sandbox.live.clocks import Clocks
from belljar.sandbox.live.latch import Latch
from belljar.sandbox.live.output import Output
from belljar.sandbox.result import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterator
    from typing import Any

    from belljar.confine.cgroup import Group
    from belljar.confine.program import Program
    from belljar.errors import GuestProtocolError
    from belljar.model import Decision, Policy, Status
    from belljar.sandbox.live.asking import Asking
    from belljar.sandbox.live.telling import Teller
    from belljar.sandbox.result import Denial, Result
    from belljar.sandbox.streams import Streams
    from belljar.sandbox.walls import Walls
    from belljar.watch.collect import Chunk

_INFINITE = float("inf")
#: Bytes of events that are kept for the result of one call; all of them are in the ledger.
_MOST_FRAMES = 1 << 20


#: Seconds after which a keeper that was told to end is told again.
_AGAIN = 1.0


class Guest:
    """Made by an engine, watched by the supervisor, asked by a box. `end()` may be called from
    anywhere, any number of times; `over` is set when the guest has ended and all is put away."""

    is_guest = True

    def __init__(
        self,
        walls: Walls,
        bridge: _socket.socket,
        streams: Streams,
        pid: int,
        policy: Policy | None = None,
    ) -> None:
        self.walls = walls
        self.bridge: Any = bridge
        self.pid = pid
        self.policy: Policy = policy or walls.policy
        self.judge = walls.judge
        self.owner = os.getpid()
        self.lock = threading.RLock()
        self.over = Latch()
        self.output = Output(streams, self.policy.limits.output)
        self.clocks = Clocks(pid, self.policy.limits, self._group())
        self.ended_by = ""
        self.reason = ""  # of `protocol`
        #: answers what the guest's threads ask while nobody waits; in a thread of its own
        self.serve: Callable[[], None] | None = None
        #: whether such a question came together with an answer, and lies here
        self.unread: Callable[[], bool] = lambda: False
        self.serving: threading.Thread | None = None
        #: called by whatever thread when `over` is set; not to wait for anything
        self.watchers: list[Callable[[], object]] = []
        #: called when all is put away, with no lock held
        self.let_go: Callable[[], None] | None = None
        self.failure: BaseException | None = None
        self.result: Result | None = None
        self.teller: Teller | None = None
        self.feeder: threading.Thread | None = None  # asks `stdin()`
        #: called once, when its first answer has come or a while has passed
        self.first: Callable[[], None] | None = None
        #: what asked it that it works, while nobody owned it
        self.asking: Asking | None = None
        self._alive = [True]  # popped by who ends it: an atomic test and set
        self._look = select.poll()
        for fd in (walls.collector.fileno(), *self.output.pipes):
            self._look.register(fd, select.POLLIN)
        self._calls = Calls(pid, walls.judge, walls.record)
        self._told_to_end = 0.0
        self._started = time.monotonic()
        self._frames: list[bytes] = []
        self._framed = 0
        self._stale = False
        self._told = 0, 0, 0, 0  # denials, alerts, repeated, events of results so far

    def given(self, program: Program, tell: Callable[[Denial, Status], None]) -> bool:
        """It was ready, and is somebody's now: its record, its clocks and its numbers begin. False
        where it is not what would be made now, or has ended. Raises as an engine does."""
        look = select.poll()
        for fd in (self.walls.keeper.report, self.bridge.fileno()):
            look.register(fd, select.POLLIN)
        with self.lock:
            if not self._alive or look.poll(0):  # it has nothing to say but that it has ended
                return False
            self.collect(idle=True)
            if not self.walls.given(program, tell):
                return False
            self.judge = self.walls.judge
            self._calls = Calls(self.pid, self.judge, self.walls.record)
            self.clocks = Clocks(self.pid, self.policy.limits, self.walls.group)
            self._started = time.monotonic()
            self._frames, self._framed = [], 0
            return True

    def tells(self, teller: Teller) -> None:
        """Callbacks of the owner's; the guest ends when one of them fails."""
        self.teller = teller
        teller.failed = self.fails

    def fails(self, error: BaseException) -> None:
        """A function of the owner's raised `error`: the guest ends."""
        self.failure = self.failure or error
        self.end("failed")

    def descriptors(self) -> Iterator[int]:
        """What the supervisor has to poll."""
        walls = self.walls
        yield from (walls.collector.fileno(), walls.keeper.report)
        yield from self.output.pipes
        yield from walls.appended.fds

    def is_channel(self, fd: int) -> bool:
        """Whether events come there, and nothing else."""
        return fd == self.walls.collector.fileno()

    @property
    def alive(self) -> bool:
        """Has nobody ended it so far?"""
        return bool(self._alive)

    def end(self, why: str) -> None:
        """Let it end, because of `why`. Waits for nothing: the supervisor puts away the rest."""
        try:
            self._alive.pop()
        except IndexError:
            return
        self.ended_by = why
        self.clocks.used()  # for the last word: nobody reports what a killed one used
        self.kill()
        self._told_to_end = time.monotonic()

    def kill(self) -> None:
        """End its process, and all that is in its sandbox."""
        self.walls.keeper.kill()

    def _group(self) -> Group | None:
        return self.walls.group

    def watched(self) -> tuple[Any, ...]:
        """What the supervisor watches for it."""
        return (self,)

    def finished(self) -> tuple[Any, ...]:
        """What of that has ended, and can be put away."""
        return (self,) if self.walls.keeper.ended else ()

    def charge(self, inner: Guest) -> None:
        """What `inner`, a sandbox of this guest's own, uses and writes counts as this one's."""
        self.clocks.charge(inner.clocks)
        inner.output.charge = self._charge_output

    def _charge_output(self, size: int) -> None:
        with self.lock:
            self.output.charged(size)
        if self.output.over:
            self.end("output")

    def misspoke(self, error: GuestProtocolError) -> None:
        """End it: what came from it is not the protocol."""
        self.reason = self.reason or str(error)
        self.end("protocol")

    def attend(self, fd: int) -> bool:
        """Take what is ready at one of the descriptors; False where it is to be polled no more."""
        walls = self.walls
        with self.lock:
            if fd == walls.keeper.report:
                walls.hear()
                if walls.over:
                    self.end(walls.over)
                return not walls.keeper.ended
            if fd in walls.appended.fds:
                if not walls.appended.take(fd):
                    self.end("disk")
                return True
            if fd in self.output.pipes:
                open_still = self.output.read(fd)
                if self.output.over:
                    self.end("output")
                return open_still
            self.collect(idle=False)
            return True

    def collect(self, *, idle: bool) -> bool:
        """Judge, record and keep what came from the recorder. The caller holds the lock."""
        chunks = self.walls.drain(idle=idle)
        for chunk in chunks:
            self.keep(chunk)
        return bool(chunks)

    def keep(self, chunk: Chunk) -> None:
        """Frames of this guest's: judged and recorded, and a part of the next result."""
        self.judge.take(chunk.data, chunk.count, chunk.flagged)
        if self._framed < _MOST_FRAMES:
            self._frames.append(chunk.data)
            self._framed += len(chunk.data)

    def is_answered(self) -> None:
        """Its first answer has come: what waited for that may go on."""
        first, self.first = self.first, None
        if first is not None:
            first()

    def check(self, now: float) -> None:
        """Look at the clocks."""
        if self.first is not None and now - self._started > _AGAIN:
            self.is_answered()  # nobody asks it anything
        if self._alive:
            with self.lock:
                self.collect(idle=True)
        why = self.clocks.over(now)
        if why:
            self.end(why)
        elif self.told_again(now):
            self.kill()  # one that does not end is told again, and then ended itself

    def told_again(self, now: float) -> bool:
        """Whether it was told to end a while ago, and has not; or was to be told when an interrupt
        came."""
        return not self._alive and now - self._told_to_end > _AGAIN

    def serve_idle(self) -> None:
        """Let a thread answer what the guest's own threads ask while nobody waits for it."""
        if self.serve is None or self.clocks.in_call or not self._alive:
            return
        if self.serving is not None and self.serving.is_alive():
            return
        poll = select.poll()
        poll.register(self.bridge.fileno(), select.POLLIN)
        if self.unread() or poll.poll(0):
            self.serving = threading.Thread(target=self.serve, name="belljar-serve", daemon=True)
            self.serving.start()

    def settle(self, *, events: bool) -> None:
        """Take all that is there now: a reply has come, what the guest did before it is done.
        Without `events`, those that need no decision may wait for the supervisor's next look."""
        with self.lock:
            if not self.over.is_set():
                if self._look.poll(0):  # asking once is cheaper than three reads of nothing
                    while self.collect(idle=False):
                        pass
                    self.output.read_all()
                if events:
                    self.collect(idle=True)  # what pends in the page, and is told of by nobody
                self._stale = not events
                self._calls.flush()
                if self.output.over:
                    self.end("output")

    def begin_events(self) -> None:
        """Events from here on are those of a result: what was left by requests that have none is
        recorded, and no part of it."""
        if self._stale:
            with self.lock:
                if not self.over.is_set():
                    self.collect(idle=True)
                self._frames, self._framed, self._stale = [], 0, False
                self._told = (*self._told[:3], self.judge.events)

    def since(self) -> tuple[tuple[Denial, ...], tuple[Denial, ...], int, int, tuple[bytes, ...]]:
        """Denials, alerts, repeated attempts, number and frames of the events since it was last
        asked. The caller holds the lock."""
        judge = self.judge
        denials, alerts, repeated, events = self._told
        self._told = len(judge.denials), len(judge.alerts), judge.repeated, judge.events
        frames, self._frames, self._framed = tuple(self._frames), [], 0
        return (
            tuple(judge.denials[denials:]), tuple(judge.alerts[alerts:]),
            judge.repeated - repeated, judge.events - events, frames,
        )  # fmt: skip

    def note_call(self, name: str, method: str, decision: Decision) -> None:
        """A call of something shared by the host, or its refusal, into the record."""
        with self.lock:
            self._calls.note(name, method, decision)

    def usage(self) -> Usage:
        """What the guest used so far, its whole life long."""
        with self.lock:
            if self.result is not None:
                return self.result.usage
            peak = self.clocks.peak_memory()
            wall = time.monotonic() - self._started
            cpu = self.clocks.used()
            return Usage(wall, 0.0, 0.0, peak, self.output.total, self.judge.events, cpu)

    def discard(self) -> None:
        """End it, put it away: nobody got it, nothing of it is left."""
        self.end("closed")
        self.walls.discard()
        try:
            self.put_away()
        finally:
            if self.let_go is not None:
                self.let_go()
            self.serve = self.let_go = None

    def put_away(self) -> None:
        """The keeper has ended: the last of the output and the record, then nothing is left."""
        with self.lock:
            if self.over.is_set():
                return
            try:
                self._put_away()
            except BaseException as error:
                self.failure = self.failure or error
                raise
            finally:
                try:
                    self._close()
                finally:
                    self.output.close()
                    self.bridge.close()
                    self._alive.clear()
                    self.over.set()
                    for watcher in list(self.watchers):
                        watcher()
                    self.is_answered()

    def wait(self) -> None:
        """Until it has ended and nothing is left of it."""
        self.over.wait()

    def _close(self) -> None:
        self.walls.close()

    def _put_away(self) -> None:
        walls = self.walls
        while self.collect(idle=True):
            pass
        self._calls.flush()
        self.output.read_all()
        walls.appended.finish()
        walls.lower()
        status, signal, usage = self._conclude(walls.exit)
        walls.end_record(self.ended_by, status, signal, usage)
        self.result = self._whole(status, signal, usage)

    def _conclude(self, exit_: tuple[int, float, float, int] | None) -> tuple[int, int, Usage]:
        """Status, signal and usage of an end; `exit_` is what init told of it."""
        wall = time.monotonic() - self._started
        limits = self.policy.limits.replace(cpu=_INFINITE, wall=_INFINITE)  # of calls, not of all
        ended, status, signal = how(self.ended_by, exit_, limits, wall, self._group())
        self.ended_by = ended
        _, user, system, peak = exit_ or (0, 0.0, 0.0, 0)
        self.clocks.ended(user + system)
        cpu, events = self.clocks.used(), self.judge.events
        return status, signal, Usage(wall, user, system, peak, self.output.total, events, cpu)

    def _whole(self, status: int, signal: int, usage: Usage) -> Result:
        reason = self.reason if self.ended_by == "protocol" else ""
        return outcome(self.walls, self.judge, self.ended_by, status, signal, usage, reason)

    def abandon(self) -> None:
        """In a child that the host forked: let go of the parent's guest without touching it."""
        self.lock, self.over = threading.RLock(), Latch()  # another thread may hold them
        self._alive.clear()
        self.ended_by = "forked"
        for fd in (*self.output.pipes, self.bridge.detach()):
            if fd >= 0:
                os.close(fd)
        self.walls.abandon()
        self.over.set()
