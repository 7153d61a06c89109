"""Run one program in a sandbox, from the plan to the result.

Order: the keeper starts to build the walls; meanwhile, on the other core, the receipt is computed
and enforced and the record is opened; then, when the recorder has said hello from inside, the guest
may begin. Until then no instruction of the program has run, so all that fails is status 125.
"""

from __future__ import annotations

import gc
import marshal
import os
import select
import time

from belljar.confine.cache import cache_directory
from belljar.confine.keeper import Keeper, refusal
from belljar.errors import BelljarError
from belljar.sandbox import apart
from belljar.sandbox.applications import know
from belljar.sandbox.asking import settings
from belljar.sandbox.ending import did_not_start, opening
from belljar.sandbox.scratch import Scratch
from belljar.sandbox.streams import Streams, pass_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from belljar.confine.appended import Appended
    from belljar.confine.cgroup import Group
    from belljar.confine.plan import Plan
    from belljar.confine.probe import Facts
    from belljar.confine.program import Program
    from belljar.model import Policy, Status
    from belljar.sandbox.judge import Judge
    from belljar.sandbox.record import Record
    from belljar.sandbox.result import Denial, Result, Usage
    from belljar.watch.collect import Collector

_CHUNK = 1 << 16
_SIGXCPU, _SIGKILL = 24, 9
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
        self._run_id = os.urandom(16)
        self._keeper: Keeper | None = None
        self._record: Record | None = None
        self._ended_by = ""
        self._exit: tuple[int, float, float, int] | None = None
        self._refusal: BelljarError | None = None
        self._go = -1
        self._appended: Appended | apart.Nothing
        self._group: Group | None = None
        self._grouped = ""
        self._unsealed = False
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
            if self._keeper is not None:
                self._keeper.close()
            if self._group is not None:
                self._group.close()
            for fd in (go_out, self._go):
                if fd >= 0:
                    os.close(fd)
            streams.close()
            if self._record is not None:
                self._record.close()
                if self._policy.sinks:
                    from belljar.ledger.sinks import finish

                    finish(self._run_id)

    def _with_keeper(self, keeper: Keeper, streams: Streams) -> Result:
        from belljar.confine.probe import probe
        from belljar.confine.words import tier_words

        facts = probe(self._cache)
        if "BELLJAR_CGROUP" in os.environ or {"memory", "cpu"} & set(self._policy.require):
            from belljar.confine import cgroup

            self._group, self._grouped = cgroup.join(self._policy, keeper.pid)
        keeper.tier(tier_words(facts.tier))
        from belljar.confine import image, sensitive
        from belljar.confine import plan as planner
        from belljar.confine.distrust import remember, remember_roots
        from belljar.confine.runtime import for_program
        from belljar.watch.collect import Collector

        runtime = for_program(self._program, self._cache)
        know(self._policy, runtime.site)
        told = settings(self._policy)
        with (
            Collector() as collector,
            Scratch(facts.tier, collector) as scratch,
            apart.overlays(self._policy, facts.tier, self._run_id) as overlays,
            apart.appended(self._policy, facts.tier, collector.directory) as self._appended,
            image.show(self._policy, runtime, facts.tier, self._cache, self._waited) as image_made,
        ):
            plan = planner.make(
                self._policy, runtime, self._program, facts.tier,
                collector.path, collector.page, scratch.path, self._cache,
                collector.answers if told else "", told, overlays.made,
                self._appended.pipes, image_made.shown,
            )  # fmt: skip
            since = time.time_ns()
            before = {place.host: sensitive.signature(place.host) for place in plan.places}
            sensitive.check_own(self._policy.grants, (collector.directory,))
            if self._cache is not None:
                remember_roots(self._cache, self._policy.grants, facts.tier != "landlock")
            self._unsealed = plan.sealed
            keeper.build(plan.words)
            judge, receipt = self._prepare(plan, facts, collector, image_made.shown.why)
            self._follow(keeper, collector, streams, judge, marshal.dumps(plan.boot, 2))
            keeper.close()
            judge.finish()
            self._tell_held()
            missed = judge.malformed + sum(
                f.kind not in ("vanished", "running") for f in collector.finish()
            )
        planted = apart.planted(before, self._policy.grants, since)
        for path in planted:
            if self._cache is not None and path in before:
                remember(self._cache, path)
        return self._result(judge, receipt, missed, planted).replace(
            waiting=tuple(overlays.waiting)
        )

    def _waited(self, line: str) -> None:
        if self._ended_by:
            raise KeyboardInterrupt  # nothing of the program ran
        if self._progress is not None:
            self._progress(line)

    def _prepare(
        self, plan: Plan, facts: Facts, collector: Collector, shown: str
    ) -> tuple[Judge, Status]:
        """What the guest waits for: the receipt, enforced, and an open record."""
        from belljar.confine import sensitive
        from belljar.confine.modules import inside
        from belljar.confine.status import enforce, status
        from belljar.ledger import open_writer, path_of, resolve
        from belljar.sandbox.judge import Judge
        from belljar.sandbox.record import Record

        receipt = status(self._policy, facts, inside(plan.runtime), self._grouped, shown)
        enforce(self._policy, receipt)
        directory = resolve(self._policy.ledger)
        record = None if directory is None else path_of(directory)
        own = tuple(path for path in (record, self._cache) if path is not None)
        sensitive.check_own(self._policy.grants, own)
        full = self._policy.replace(grants=self._policy.grants + plan.implicit)
        if directory is not None:
            self._record = Record(open_writer(directory, self._policy.sync), self._run_id)
            first = opening(self._policy, self._program, plan, full, receipt)
            if self._policy.sinks:
                from belljar.ledger.sinks import register

                first["sinks"] = register(self._record.directory, self._policy.sinks, self._run_id)
            self._record.start(first)
        judge = Judge(
            full,
            self._record,
            lambda denial: self._held.append((denial, receipt)),
            plan.mapped,
            collector.answer,
        )
        return judge, receipt

    def _follow(
        self, keeper: Keeper, collector: Collector, streams: Streams, judge: Judge, boot: bytes
    ) -> None:
        poll = select.poll()
        for fd in (collector.fileno(), keeper.report, *streams.pipes, *self._appended.fds):
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
            if self._group is not None and self._group.over():
                self._end("cpu")
            wait = min(left, _NAP if quiet < _PATIENCE else _DOZE)
            if self._held:
                wait = min(wait, _PAUSE)
                if time.monotonic() - self._spoke > _PAUSE:
                    self._tell_held()
            ready = poll.poll(wait * 1000)
            for fd, _ in ready:
                if fd == keeper.report:
                    for line in keeper.read():
                        self._hear(line)
                elif fd in self._appended.fds:
                    if not self._appended.take(fd):
                        self._end("disk")
                elif fd in streams.pipes:
                    self._forward(fd, streams, poll)
            before = collector.answered
            if self._collect(collector, judge, idle=quiet >= _PATIENCE - 1):
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
            if judge.greeted and not self._unsealed and not released:
                self._let_go(boot)
                released = True
                awake = _AWAKE
                judge.expect()
        while self._collect(collector, judge, idle=True):
            pass  # all writers are gone: what is there is all
        for fd in list(streams.pipes):  # all who could write are dead: what is there is there now
            last = select.poll()
            last.register(fd, select.POLLIN)
            while fd in streams.pipes and last.poll(200):
                self._forward(fd, streams, poll)
        self._appended.finish()
        self._tell_held()

    def _tell_held(self) -> None:
        held, self._held = self._held, []
        for denial, receipt in held:
            self._tell(denial, receipt)

    def _let_go(self, boot: bytes) -> None:
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

    def _hear(self, line: list[str]) -> None:
        if line[0] == "error" and self._refusal is None:
            self._refusal = refusal(line)
        elif line[0] == "sealed":
            self._unsealed = False
        elif line[0] == "exit":
            user, system = int(line[2]) / 1e6, int(line[3].split(" ")[0]) / 1e6
            self._exit = (int(line[1]), user, system, int(line[3].split(" ")[1]) * 1024)

    def _collect(self, collector: Collector, judge: Judge, *, idle: bool) -> bool:
        chunks = collector.drain(idle=idle)
        for chunk in chunks:
            judge.take(chunk.data, chunk.count, chunk.flagged)
        return bool(chunks)

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
            self._emit(streams.pipes[fd], data[:room])
        if len(data) > room:
            self._end("output")
        return True

    def _emit(self, number: int, data: bytes) -> None:
        if self._out is not None:
            self._out(number, data)
        elif self._ended_by != "reader":
            try:
                if not pass_on(number, data, self._deadline):
                    self._end("wall")
            except OSError:  # no reader, or no room
                self._end("reader")

    def _end(self, why: str) -> None:
        if not self._ended_by:
            self._ended_by = why
        if self._keeper is not None:
            self._keeper.kill()

    def _result(
        self, judge: Judge, receipt: Status, missed: int, planted: tuple[str, ...]
    ) -> Result:
        from belljar.sandbox.result import Result, Usage

        if not judge.greeted and self._ended_by == "interrupt":
            self._close_record("interrupt", 130, 0, Usage(), judge, missed)
            raise KeyboardInterrupt  # nothing of the program ran
        if not judge.greeted:
            self._close_record("refused", 125, 0, Usage(), judge, missed)
            raise self._refusal or did_not_start(self._exit)
        wall = time.monotonic() - self._started
        code, user, system, peak = self._exit or (_SIGKILL, 0.0, 0.0, 0)
        if self._group is not None:
            peak = max(peak, self._group.peak())
        usage = Usage(wall, user, system, peak, self._output, judge.events)
        signal = code & 0x7F
        if self._exit is None and not self._ended_by and wall > self._policy.limits.wall:
            self._ended_by = "wall"  # the keeper's clock was first
        lost = self._exit is None and not self._ended_by
        ended = self._ended_by or ("lost" if lost else "signal" if signal else "exit")
        used_up = user + system >= self._policy.limits.cpu - 0.05
        if not self._ended_by and (signal == _SIGXCPU or (signal == _SIGKILL and used_up)):
            ended = "cpu"
        if self._group is not None and ended == "signal" and self._group.killed():
            ended = "memory"
        status = {"wall": 124, "interrupt": 130, "reader": 141}.get(
            ended, 128 + signal if signal else code >> 8
        )
        if ended in ("output", "disk"):
            status = 128 + _SIGKILL
        unkept = self._record.unkept if self._record is not None else 0
        self._close_record(ended, status, signal, usage, judge, missed)
        return Result(
            status, ended, receipt, usage, signal, tuple(judge.denials), tuple(judge.alerts),
            judge.repeated, missed, self._record.directory if self._record else None,
            self._run_id.hex(),
            unkept,
            planted,
        )  # fmt: skip

    def _close_record(
        self, ended: str, status: int, signal: int, usage: Usage, judge: Judge, missed: int
    ) -> None:
        if self._record is None:
            return
        body = {
            "ended-by": ended, "status": status, "signal": signal, "wall": usage.wall,
            "user": usage.user, "system": usage.system, "peak-memory": usage.peak_memory,
            "output": usage.output, "events": usage.events, "missed": missed,
            "denials": len(judge.denials), "alerts": len(judge.alerts), "repeated": judge.repeated,
        }  # fmt: skip
        self._record.end(body)
