"""Run one program in a sandbox, from the plan to the result.

Order: the keeper starts to build the walls; meanwhile, on the other core, the receipt is computed
and enforced and the record is opened; then, when the recorder has said hello from inside, the guest
may begin. Until then no instruction of the program has run, so all that fails is status 125.
"""

from __future__ import annotations

import gc
import os
import select
import time

from belljar.confine.cache import cache_directory
from belljar.confine.keeper import Keeper
from belljar.sandbox.streams import Streams, parameters, pass_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from belljar.confine.program import Program
    from belljar.model import Policy, Status
    from belljar.sandbox.result import Denial, Result
    from belljar.sandbox.walls import Walls

_CHUNK = 1 << 16
#: While events come, look at them every _NAP seconds: a writer that has to wake a sleeping reader
#: pays five times as much. After _PATIENCE looks at nothing, sleep until the next event; look at
#: the page all the same every _DOZE seconds.
_NAP = 0.002
_PATIENCE = 5
_DOZE = 0.5
#: Who was answered may ask again at once: the reader stays awake for so many looks.
_AWAKE = 8
#: Denials wait for so long a pause in the guest's own output: not in the middle of a traceback.
_PAUSE = 0.25


class Session:
    """One run. `run()` may be called once; `interrupt()` from a signal handler ends the guest.

    `tell` is called with each new denial or alert as it comes; `out` with (1 or 2, bytes) of
    captured output, which otherwise goes to the host's own streams; `progress` with a line while
    a runtime image is made that takes longer than a second.
    """

    def __init__(
        self,
        policy: Policy,
        program: Program,
        tell: Callable[[Denial, Status], None],
        out: Callable[[int, bytes], None] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self._policy = policy
        self._program = program
        self._tell = tell
        self._out = out
        self._progress = progress
        self._cache = cache_directory()
        self._keeper: Keeper | None = None
        self._walls: Walls | None = None
        self._ended_by = ""
        self._go = -1
        self._output = 0
        self._held: list[tuple[Denial, Status]] = []
        self._spoke = 0.0
        self._deadline = 0.0
        self._started = 0.0

    def interrupt(self) -> None:
        """End the guest; the result says `interrupt`."""
        self._end("interrupt")

    def run(self) -> Result:
        """Run to the end. Raises `BelljarError` when nothing of the program ran."""
        go_out, self._go = os.pipe()
        streams = Streams(self._policy)
        try:
            self._keeper = Keeper(streams.given, go_out)
            streams.handed_over()
            os.close(go_out)
            go_out = -1
            if self._ended_by:
                raise KeyboardInterrupt
            # from here on two processors work: imports wait for no one
            return self._with_keeper(self._keeper, streams)
        finally:
            if self._walls is not None:
                self._walls.close()
            elif self._keeper is not None:
                self._keeper.close()
            for fd in (go_out, self._go):
                if fd >= 0:
                    os.close(fd)
            streams.close()

    def _with_keeper(self, keeper: Keeper, streams: Streams) -> Result:
        from belljar.sandbox.walls import Walls

        walls = self._walls = Walls(
            self._policy, self._program, keeper, self._cache,
            lambda denial, receipt: self._held.append((denial, receipt)), self._heard_wait,
        )  # fmt: skip
        walls.rise()
        walls.collector.tidy()  # while the guest's interpreter starts
        self._follow(walls, streams)
        walls.lower()
        self._tell_held()
        return self._result(walls)

    def _heard_wait(self, line: str) -> None:
        if self._ended_by:
            raise KeyboardInterrupt  # nothing of the program ran
        if self._progress is not None:
            self._progress(line)

    def _follow(self, walls: Walls, streams: Streams) -> None:
        keeper, collector, appended = walls.keeper, walls.collector, walls.appended
        boot = parameters(walls.plan.boot)
        poll = select.poll()
        for fd in (collector.fileno(), keeper.report, *streams.pipes, *appended.fds):
            poll.register(fd, select.POLLIN)
        self._started = time.monotonic()
        self._deadline = self._started + self._policy.limits.wall + 30  # the start itself
        released = False
        awake = 0
        quiet = _PATIENCE  # looks at an empty channel; below _PATIENCE it is not polled
        while not keeper.ended:
            left = self._deadline - time.monotonic()
            if left <= 0:
                self._end("wall")
                self._deadline = time.monotonic() + 6  # then the keeper itself is ended
                left = 0
            if walls.group is not None and walls.group.over():
                self._end("cpu")
            wait = min(left, _NAP if quiet < _PATIENCE else _DOZE)
            if self._held:
                wait = min(wait, _PAUSE)
                if time.monotonic() - self._spoke > _PAUSE:
                    self._tell_held()
            ready = poll.poll(wait * 1000)
            for fd, _ in ready:
                if fd == keeper.report:
                    walls.hear()
                    if walls.over:
                        self._end(walls.over)
                elif fd in appended.fds:
                    if not appended.take(fd):
                        self._end("disk")
                elif fd in streams.pipes:
                    self._forward(fd, streams, poll)
            before = collector.answered
            if walls.collect(idle=quiet >= _PATIENCE - 1):
                awake = _AWAKE if collector.answered > before else awake - 1
                watched = quiet >= _PATIENCE
                if watched and released and awake <= 0:
                    poll.unregister(collector.fileno())
                    watched = False
                elif not watched and awake > 0:
                    poll.register(collector.fileno(), select.POLLIN)
                    watched = True
                quiet = _PATIENCE if watched else 0
            else:
                quiet += 1
                if quiet == _PATIENCE:
                    poll.register(collector.fileno(), select.POLLIN)
            if not released and walls.ready:
                self._let_go(boot)
                released = True
                awake = _AWAKE
                walls.judge.expect()
        while walls.collect(idle=True):
            pass  # all writers are gone: what is there is all
        for fd in list(streams.pipes):  # all who could write are dead: what is there is there now
            last = select.poll()
            last.register(fd, select.POLLIN)
            while fd in streams.pipes and last.poll(200):
                self._forward(fd, streams, poll)
        appended.finish()
        self._tell_held()

    def _tell_held(self) -> None:
        held, self._held = self._held, []
        for denial, receipt in held:
            self._tell(denial, receipt)

    def _let_go(self, boot: bytes) -> None:
        gc.freeze()  # else what the start made is searched at once, for nothing
        gc.enable()
        self._started = time.monotonic()
        self._deadline = self._started + self._policy.limits.wall
        view = memoryview(boot)
        try:
            while view:
                view = view[os.write(self._go, view) :]
        except BrokenPipeError:
            pass  # it ended before it began; its exit status tells
        os.close(self._go)
        self._go = -1

    def _forward(self, fd: int, streams: Streams, poll: select.poll) -> bool:
        data = os.read(fd, _CHUNK)
        if not data:
            poll.unregister(fd)
            os.close(fd)
            del streams.pipes[fd]
            return False
        self._spoke = time.monotonic()
        room = self._policy.limits.output - self._output
        self._output += len(data)
        if room > 0:
            self._emit(streams.pipes[fd], data[:room], streams.files.get(streams.pipes[fd]))
        if len(data) > room:
            self._end("output")
        return True

    def _emit(self, number: int, data: bytes, file: int | None) -> None:
        if self._out is not None and file is None:
            self._out(number, data)
        elif self._ended_by != "reader":
            try:
                if not pass_on(number if file is None else file, data, self._deadline):
                    self._end("wall")
            except OSError:  # no reader, or no room
                self._end("reader")

    def _end(self, why: str) -> None:
        if not self._ended_by:
            self._ended_by = why
        if self._keeper is not None:
            self._keeper.kill()

    def _result(self, walls: Walls) -> Result:
        from belljar.sandbox.ending import did_not_start, how, result_of
        from belljar.sandbox.result import Usage

        judge = walls.judge
        if not judge.greeted and self._ended_by == "interrupt":
            walls.end_record("interrupt", 130, 0, Usage())
            raise KeyboardInterrupt  # nothing of the program ran
        if not judge.greeted:
            walls.end_record("refused", 125, 0, Usage())
            raise walls.refusal or did_not_start(walls.exit)
        wall = time.monotonic() - self._started
        ended, status, signal = how(
            self._ended_by, walls.exit, self._policy.limits, wall, walls.group
        )
        _, user, system, peak = walls.exit or (0, 0.0, 0.0, 0)
        if walls.group is not None:
            peak = max(peak, walls.group.peak())
        usage = Usage(wall, user, system, peak, self._output, judge.events)
        return result_of(walls, ended, status, signal, usage)
