"""What stands around one guest, whether it runs one program or many: built in order, taken down in
the opposite one.

The keeper starts to build the walls; meanwhile, on the other core, the receipt is computed and
enforced and the record is opened. When `ready` turns True the recorder has said hello from inside,
and the guest may begin; until then no instruction of its program has run.
"""

from __future__ import annotations

import os
import time

from belljar.confine.keeper import refusal
from belljar.sandbox import apart
from belljar.sandbox.applications import know
from belljar.sandbox.asking import settings
from belljar.sandbox.ending import opening
from belljar.sandbox.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from belljar.confine.appended import Appended
    from belljar.confine.cgroup import Group
    from belljar.confine.image import Image
    from belljar.confine.keeper import Keeper
    from belljar.confine.overlay import Overlays
    from belljar.confine.plan import Plan
    from belljar.confine.probe import Facts
    from belljar.confine.program import Program
    from belljar.confine.runtime import Runtime, Shown
    from belljar.confine.template import Template
    from belljar.errors import BelljarError
    from belljar.model import Policy, Status
    from belljar.sandbox.judge import Judge
    from belljar.sandbox.record import Record
    from belljar.sandbox.result import Denial, Usage
    from belljar.watch.collect import Chunk, Collector


#: What was asked last, of which facts, and what was said: the same for many in a row.
_receipts: list[tuple[object, Facts, Status]] = []


class Walls:
    """All of it: `rise()`, then follow the descriptors of `collector`, `keeper` and `appended`
    until `keeper.ended`, then `lower()`; `close()` in any case, whatever was reached.

    `tell` is called with each new denial or alert as it is decided, `waited` with a line while a
    runtime image is made that takes longer than a second. What the guest is forked from, `warmed`,
    knows the runtime and how it is shown.
    """

    collector: Collector
    judge: Judge
    receipt: Status
    plan: Plan
    _facts: Facts
    _scratch: Scratch
    _shown: Shown
    appended: Appended | apart.Nothing
    overlays: Overlays | apart.Nothing

    def __init__(
        self,
        policy: Policy,
        program: Program,
        keeper: Keeper,
        cache: str | None,
        tell: Callable[[Denial, Status], None],
        waited: Callable[[str], None] | None = None,
        warmed: Template | None = None,
    ) -> None:
        self.policy = policy
        self.program = program
        self.keeper = keeper
        self.run_id = os.urandom(16)
        self.record: Record | None = None
        self.group: Group | None = None
        self.refusal: BelljarError | None = None
        #: wait status, user and system seconds, peak memory in bytes, of the guest's end
        self.exit: tuple[int, float, float, int] | None = None
        self.over = ""  # a limit that the keeper counts, and that is used up
        #: of processes other than the guest's: their number in there -> the same
        self.left: dict[int, tuple[int, float, float, int]] = {}
        self.missed = 0
        self.planted: tuple[str, ...] = ()
        self._cache = cache
        self._tell = tell
        self._waited = waited
        self._warmed = warmed
        self._grouped = ""
        self._unsealed = False
        self._finished = False
        self._standing: list[Collector | Scratch | Overlays | Appended | Image | apart.Nothing] = []
        self._since = 0
        self._before: dict[str, tuple[int, ...] | None] = {}
        #: what came before the guest was somebody's; None where it always was
        self._early: list[Chunk] | None = None
        self._built = 0
        self._answering = True
        #: answers the first guest, where it has a channel of its own
        self.answer_first: Callable[[int, int, int], object] | None = None
        self._around: tuple[object, ...] | None = None
        self._owners: tuple[tuple[int, int], ...] = ()
        self._machine = ""

    def rise(self, *, owned: bool = True) -> None:
        """Build everything. Raises `BelljarError`: then nothing of the program ran. A guest that
        is not `owned` yet has no record until it is `given` to someone."""
        from belljar.confine.probe import machine, probe
        from belljar.confine.words import tier_words

        policy, program, keeper = self.policy, self.program, self.keeper
        self._machine = "" if owned else machine()
        facts = self._facts = probe(self._cache)
        if "BELLJAR_CGROUP" in os.environ or {"memory", "cpu"} & set(policy.require):
            from belljar.confine import cgroup

            self.group, self._grouped = cgroup.join(policy, keeper.pid, _between(self.program))
        keeper.tier(tier_words(facts.tier))
        from belljar.confine import image, sensitive
        from belljar.confine.distrust import remember_roots
        from belljar.confine.runtime import for_program
        from belljar.watch.collect import Collector

        warmed = self._warmed
        runtime = for_program(program, self._cache) if warmed is None else warmed.runtime
        know(policy, runtime.site)
        collector = self.collector = Collector()
        self._standing.append(collector)
        scratch = self._scratch = Scratch(facts.tier, collector)
        self._standing.append(scratch)
        self.overlays = apart.overlays(policy, facts.tier, self.run_id)
        self._standing.append(self.overlays.__enter__())
        self.appended = apart.appended(policy, facts.tier, collector.directory)
        self._standing.append(self.appended.__enter__())
        if warmed is None:
            made = image.show(policy, runtime, facts.tier, self._cache, self._waited)
            self._standing.append(made.__enter__())
        shown = self._shown = made.shown if warmed is None else warmed.shown
        around = None if owned else self._surroundings()
        plan = self.plan = self._planned(runtime)
        self._look()
        sensitive.check_own(policy.grants, (collector.directory,))
        if self._cache is not None:
            remember_roots(self._cache, policy.grants, facts.tier != "landlock")
        self._unsealed = plan.sealed
        keeper.build(plan.words)
        self._built = time.time_ns()
        if not owned:
            self._early = []
            self._around = around
            self._owners = _owners(policy)
        self._prepare(facts, shown.why)

    def _planned(self, runtime: Runtime) -> Plan:
        from belljar.confine import again

        collector, facts, told = self.collector, self._facts, settings(self.policy)
        return again.make(
            self.policy, runtime, self.program, facts.tier,
            collector.path, collector.page, self._scratch.path, self._cache,
            collector.answers if told else "", told, self.overlays.made,
            self.appended.pipes, self._shown, self.appended.folders,
        )  # fmt: skip

    def _surroundings(self) -> tuple[object, ...] | None:
        from belljar.confine.plan import surroundings

        assert self._warmed is not None
        return surroundings(self.policy, self.program, self._warmed.runtime)

    def _look(self) -> None:
        """Remember what lies where a guest could plant something: from now on it may."""
        from belljar.confine import sensitive

        self._since = time.time_ns()
        self._before = {place.host: sensitive.signature(place.host) for place in self.plan.places}

    def given(self, program: Program, tell: Callable[[Denial, Status], None]) -> bool:
        """A guest that nobody owned is now `program`'s: its record begins, with all that came from
        it so far. False where a plan made now would be another one, or another machine's: it is to
        be thrown away. Raises as `rise`."""
        from belljar.confine.probe import machine

        early = self._early
        if early is None or self.refusal is not None or machine() != self._machine:
            return False
        around = self._surroundings()
        if around != self._around or _owners(self.policy) != self._owners:
            return False
        if around is None and self._planned(self.plan.runtime) != self.plan:
            return False
        self.program, self._tell = program, tell
        self._look()
        self._early = None
        self._open(self.receipt)
        self._answering = False  # they have their answers
        for chunk in early:
            self.judge.take(chunk.data, chunk.count, chunk.flagged)
        self._answering = True
        return True

    def _answer(self, slot: int, seq: int, verdict: int) -> None:
        if self._answering:
            (self.answer_first or self.collector.answer)(slot, seq, verdict)

    def discard(self) -> None:
        """It will be nobody's: what lies in its places is not its doing."""
        self._before = {}

    def _prepare(self, facts: Facts, shown: str) -> None:
        """What the guest waits for: the receipt, enforced, and an open record."""
        from belljar.confine.modules import inside
        from belljar.confine.status import enforce, for_branches, for_calls, for_forked, status

        policy = self.policy
        loaded = None if self._warmed is None else self._warmed.loaded
        kind, branches, runtime = self.program.kind, self.program.branches, self.plan.runtime
        asked = (policy, kind, branches, runtime, self._grouped, shown, loaded)
        receipt = next((made for of, by, made in _receipts if by is facts and of == asked), None)
        if receipt is None:
            receipt = status(policy, facts, inside(self.plan.runtime), self._grouped, shown)
            if self.program.kind == "live":
                receipt = for_calls(receipt)
            if branches:
                receipt = for_branches(receipt, branches)
            if loaded is not None:
                receipt = for_forked(receipt, policy, loaded)
            enforce(policy, receipt)
            _receipts[:] = [(asked, facts, receipt)]
        self.receipt = receipt
        self._open(receipt)

    def _open(self, receipt: Status) -> None:
        """The record, where the guest is somebody's, and who judges what comes."""
        from belljar.confine import sensitive
        from belljar.ledger import open_writer, path_of, resolve
        from belljar.sandbox.record import Record

        policy, plan = self.policy, self.plan
        directory = resolve(policy.ledger) if self._early is None else None
        record = None if directory is None else path_of(directory)
        own = tuple(path for path in (record, self._cache) if path is not None)
        sensitive.check_own(policy.grants, own)
        full = policy.replace(grants=policy.grants + plan.implicit)
        if directory is not None:
            self.record = Record(open_writer(directory, policy.sync), self.run_id)
            first = opening(policy, self.program, plan, full, receipt)
            if policy.sinks:
                from belljar.ledger.sinks import register

                first["sinks"] = register(self.record.directory, policy.sinks, self.run_id)
            if self._since > self._built:  # it was ready before it was asked for
                first["built"] = self._built
            self.record.start(first)
        tell = self._tell
        self._full = full
        self.judge = self.new_judge(lambda denial: tell(denial, receipt))

    def new_judge(
        self,
        tell: Callable[[Denial], None],
        answer: Callable[[int, int, int], object] | None = None,
    ) -> Judge:
        """One more that decides by the same policy, for another process of the sandbox, which
        `answer` answers."""
        from belljar.sandbox.judge import Judge
        from belljar.sandbox.record import Held

        record = self.record if self._early is None else Held()
        return Judge(self._full, record, tell, self.plan.mapped, answer or self._answer)

    @property
    def ready(self) -> bool:
        """May the guest begin? Its recorder is in place, its interpreter was executed only once."""
        return self.judge.greeted and not self._unsealed

    def hear(self) -> None:
        """Take what the keeper reports; call when `keeper.report` is readable."""
        for line in self.keeper.read():
            if line[0] == "error" and self.refusal is None:
                self.refusal = refusal(line)
            elif line[0] == "sealed":
                self._unsealed = False
            elif line[0] == "over":
                self.over = line[1]
            elif line[0] == "exit":
                self.exit = _ended(line)
            elif line[0].startswith("left:"):
                self.left[int(line[0][5:])] = _ended(line)

    def collect(self, *, idle: bool) -> bool:
        """Judge and record what has come from the recorder; False where there was nothing."""
        chunks = self.drain(idle=idle)
        for chunk in chunks:
            self.judge.take(chunk.data, chunk.count, chunk.flagged)
        return bool(chunks)

    def drain(self, *, idle: bool) -> list[Chunk]:
        """What has come, for whoever judges it."""
        chunks = self.collector.drain(idle=idle)
        if chunks and self._early is not None:
            self._early += chunks
        return chunks

    def lower(self) -> None:
        """Take down what the keeper held. The guest has ended: `missed` and `planted` are known."""
        self.keeper.close()
        self.judge.finish()
        findings = self.collector.finish()
        gone = sum(finding.kind not in ("vanished", "running") for finding in findings)
        self.missed = self.judge.malformed + gone
        self._fall()
        self.planted = apart.planted(self._before, self.policy.grants, self._since)
        if self.planted and self._cache is not None:
            from belljar.confine.distrust import remember

            for path in self.planted:
                if path in self._before:
                    remember(self._cache, path)

    def _fall(self) -> None:
        while self._standing:
            self._standing.pop().__exit__(None, None, None)

    def close(self) -> None:
        """Everything that is left, and the record. May be called twice."""
        try:
            self.keeper.close()
            self._fall()
        finally:
            if self.group is not None:
                self.group.close()
            if self.record is not None:
                self.record.close()
                if self.policy.sinks and not self._finished:
                    self._finished = True
                    from belljar.ledger.sinks import finish

                    finish(self.run_id)

    def abandon(self) -> None:
        """In a child that the host forked: let go of all that would keep the parent's guest."""
        self._standing.clear()
        self.keeper.abandon()
        self.collector.abandon()

    def end_record(
        self,
        ended: str,
        status: int,
        signal: int,
        usage: Usage,
        others: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        """The last entry of the record, where there is one. `others` are denials, alerts and
        repeated attempts that other judges counted."""
        if self.record is None:
            return
        judge = self.judge
        body = {
            "ended-by": ended, "status": status, "signal": signal, "wall": usage.wall,
            "user": usage.user, "system": usage.system, "peak-memory": usage.peak_memory,
            "output": usage.output, "events": usage.events, "missed": self.missed,
            "denials": len(judge.denials) + others[0], "alerts": len(judge.alerts) + others[1],
            "repeated": judge.repeated + others[2],
        }  # fmt: skip
        self.record.end(body)


def _owners(policy: Policy) -> tuple[tuple[int, int], ...]:
    """Whose the granted files are: as theirs the guest of a ready sandbox acts (tier root)."""
    found = []
    for grant in policy.grants:
        path = grant.source or grant.target
        if path.startswith("/"):
            try:
                stat = os.stat(path)
            except OSError:
                found.append((-1, -1))
            else:
                found.append((stat.st_uid, stat.st_gid))
    return tuple(found)


def _ended(line: list[str]) -> tuple[int, float, float, int]:
    """Wait status, user and system seconds, peak memory in bytes, of a line of init's."""
    rest = line[3].split(" ")
    return int(line[1]), int(line[2]) / 1e6, int(rest[0]) / 1e6, int(rest[1]) * 1024


def _between(program: Program) -> int:
    """Processes that branches may need: themselves, and the one in between that makes the last."""
    return program.branches + 1 if program.branches else 0
