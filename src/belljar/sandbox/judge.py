"""Events of a guest as they come: keep them, decide on them, number what was decided.

Everything here is hostile input. Frames are checked by `scan_frames` and decoded strictly; what
does not decode is kept, counted, and decides nothing.
"""

from __future__ import annotations

import os

from belljar.errors import GuestProtocolError
from belljar.ledger.decisions import decision_row
from belljar.model import Decision, Event, Grant, Policy
from belljar.sandbox.asking import must_log
from belljar.sandbox.by_host import advised, by_host, host_path, of_the_image
from belljar.sandbox.result import Denial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from belljar.sandbox.record import Held, Record
    from belljar.watch.arbiter import Alert, Arbiter
    from belljar.watch.attribute import Attribution

    Refused = tuple[str, str, Decision]
    Found = tuple[Event, Decision, str, str, str]

_HEADER = 32
_KIND, _FLAGS = 4, 5
_ASK = 16
_ALLOW = 1
_IMPORT = b"\xa6import"
_HELLO, _EVENT = 1, 2
_MAX_KEPT = 10_000  # denials kept in memory; all of them are in the ledger
_MAX_MEMO = 50_000
_LONGEST_MEMO = 512  # bytes of one: a guest must not fill the host's memory
#: How many refusals are compared with the host's files while the guest runs. It could forge
#: thousands and measure by the back pressure whether a file exists; the rest is looked at later.
_LIVE = 32
_BEGIN = "belljar.begin"
#: What these change is the directory: a grant of the file itself would not do.
_OF_THE_DIRECTORY = frozenset(
    ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink")
)
_PATHS = frozenset(("read", "list", "write", "append", "execute"))
_FORKS = frozenset(("os.fork", "os.forkpty"))
_ONE_PROCESS = "limits.processes is 1: itself"
_TEMPORARY = "/tmp"  # the guest has one of its own
_BEHIND_ITS_OWN = "no grant covers it, and the guest has a temporary directory of its own"
_EXCLUSIVE = 0o200  # O_EXCL
#: Nanoseconds by which the kernel's time of a change may be behind the event that made it.
_BEHIND = 100_000_000


class Judge:
    """Takes whole frames, keeps them, decides, reports denials, and answers events that wait.

    `greeted` turns True with the first hello: the recorder is in place. `answer` is
    `Collector.answer`: it is called when the record has the event.
    """

    def __init__(
        self,
        policy: Policy,
        record: Record | Held | None,
        tell: Callable[[Denial], None],
        mapped: tuple[tuple[str, str], ...] = (),
        answer: Callable[[int, int, int], object] = lambda _slot, _seq, _verdict: None,
    ) -> None:
        self._mapped = mapped
        self._image = of_the_image(mapped)
        self._rules = policy.rules
        self._must_log = must_log(policy)
        self._policy = policy.replace(rules=()) if policy.rules else policy
        self._record = record
        self._tell = tell
        self._answer = answer
        self._memo: set[bytes] = set()
        self._memo_denied: set[bytes] = set()
        self._seen: set[tuple[object, ...]] = set()
        self._later: list[tuple[Event, Decision]] = []
        self._live = _LIVE
        self._fired: list[Alert] = []
        self._arbiter = self._make_arbiter() if policy.rules else None
        self.greeted = False
        self.denials: list[Denial] = []
        self.alerts: list[Denial] = []
        self.repeated = 0
        self.events = 0
        self.malformed = 0

    def take(self, frames: bytes, count: int, flagged: Sequence[tuple[int, int]]) -> None:
        """One batch of `count` whole frames, of which `flagged` (offset, length) need a look.

        Raises `LedgerError` when the record cannot be kept.
        """
        found: list[Found] = []
        looks: list[bytes] = []
        waiting: list[bytes] = []
        self.events += count
        for offset, length in flagged:
            kind = frames[offset + _KIND]
            if kind == _HELLO:
                self.greeted = True
            elif kind == _EVENT:
                frame = frames[offset : offset + length]
                waits = frame[_FLAGS] & _ASK
                if waits:
                    waiting.append(frame)
                if not (waits and frame.startswith(_IMPORT, _HEADER + 1)):
                    looks.append(frame)  # an import that waits has only to be kept
        kept = self._record is not None and self._record.events(frames, count, flagged)
        if waiting and kept and not self._rules:  # at once: what follows may be slow
            from belljar.events.slots import slot_of

            for frame in waiting:
                self._answer(slot_of(frame), int.from_bytes(frame[16:24], "little"), _ALLOW)
        for frame in looks:
            self._look(frame, found)
        if self._rules:
            found = self._judged(frames, count, flagged, kept, found)
        self._report(found)

    def _judged(
        self,
        frames: bytes,
        count: int,
        flagged: Sequence[tuple[int, int]],
        kept: bool,
        found: list[Found],
    ) -> list[Found]:
        """Rules, and what they answer. What a rule forbids is told as that, even where
        there was no grant either."""
        assert self._arbiter is not None
        from belljar.policy.deciding import by_rule
        from belljar.watch.collect import Chunk

        self._arbiter.take(Chunk(frames, count, tuple(flagged)), kept=kept)
        fired = tuple(self._fired)
        self._fired.clear()
        refused = {(one.event.pid, one.event.seq) for one in fired if one.refused}
        found = [row for row in found if (row[0].pid, row[0].seq) not in refused]
        for one in fired:
            event = one.event
            answer = Decision("none", "the policy says nothing of it")
            rows = (event, by_rule(one.rule, answer, event), event.right or "", event.target or "")
            found.append((*rows, "denial" if one.refused else "alert"))
        return found

    def _make_arbiter(self) -> Arbiter:
        from belljar.policy.rules import Rules
        from belljar.watch.arbiter import Arbiter

        attributions: list[Attribution] = []

        def package_of(event: Event) -> str:
            if not attributions:
                from belljar.watch.attribute import Attribution

                attributions.append(Attribution(None, self._image))
            return attributions[0].of(event)

        return Arbiter(
            Rules(self._rules),
            self._must_log,
            package_of=package_of,
            tell=self._fired.append,
            answer=self._answer,
            begin=_BEGIN,  # rules are about the program, not about Python's start
        )

    def expect(self) -> None:
        """Make ready for decisions that are sure to come, while nobody waits for them yet: what was
        granted will be used, and the first one that waits would wait for our imports."""
        if any(grant.right in ("connect", "run") for grant in self._policy.grants):
            import belljar.events.decode
            import belljar.policy.deciding  # noqa: F401

    def finish(self) -> None:
        """What was put off, now that the guest has ended and cannot watch the clock."""
        found: list[Found] = []
        for event, decision in self._later:
            self._refuse(event, decision, found)
        self._later.clear()
        self._report(found)

    def _look(self, frame: bytes, found: list[Found]) -> None:
        body = frame[_HEADER:]
        if body in self._memo:
            self.repeated += body in self._memo_denied
            return
        from belljar.events.decode import decode
        from belljar.policy import decide

        try:
            event = decode(frame)
        except GuestProtocolError:
            self.malformed += 1  # kept in the ledger as it came, and told at the end
            return
        decision = self._special(event, decide(self._policy, event))
        short = len(body) <= _LONGEST_MEMO
        if short and len(self._memo) < _MAX_MEMO:
            self._memo.add(body)
        if decision.verdict != "deny":
            return
        if short and len(self._memo_denied) < _MAX_MEMO:
            self._memo_denied.add(body)
        if self._live > 0:
            self._live -= 1
            self._refuse(event, decision, found)
        elif len(self._later) < _MAX_KEPT:
            self._later.append((event, decision))
        else:
            self.repeated += 1

    def _special(self, event: Event, decision: Decision) -> Decision:
        """`decision` with what only the sandbox knows: refusals of its own guard and window."""
        target = event.target or ""
        if self._image and decision.verdict == "deny" and event.right != "import":
            decision = advised(event, decision, self._image)
        if event.name == "belljar.denied" and decision.verdict != "deny":
            because = "its native code is not granted"
            return Decision("deny", because, None, f"--import {target}")
        if event.right == "process" and event.name in _FORKS and self._policy.limits.processes < 2:
            return Decision("deny", _ONE_PROCESS, None, "--processes 2")
        if decision.verdict == "deny" and target.startswith("unix:/box/"):
            because = "no socket can be in the program's own directory: name one by its whole path"
            return decision.replace(because=because, remedy="", grant=None)
        may = decision.verdict in ("allow", "none")
        if event.refused and may and event.right in ("write", "append"):
            because = "something outside may later obey or execute it, and no grant names it"
            return Decision("deny", because, decision.grant, f"--write {target}")
        if decision.verdict == "deny" and target.startswith("/box/") and event.right in _PATHS:
            return self._beside(event, decision)
        if decision.verdict == "allow" and _hidden(decision, target) and not event.refused:
            from belljar.policy import decide

            policy = self._policy.replace(
                grants=tuple(g for g in self._policy.grants if not _hidden(g, target))
            )
            # its own has none: it is not flagged otherwise
            return decide(policy, event).replace(because=_BEHIND_ITS_OWN, grant=None)
        if decision.verdict == "none" and _cuts(event, decision, self._mapped):
            from belljar.policy import decide

            return decide(self._policy, event.replace(name=""))  # no making: it is there
        return decision

    def _refuse(self, event: Event, decision: Decision, found: list[Found]) -> None:
        for right, target, why in _refused(self._policy, event, decision, self._mapped)[:1]:
            found.append((event, why, right, target, "denial"))

    def _report(self, found: list[Found]) -> None:
        if self._image:
            found = [by_host(row, self._image) for row in found]
        numbers: list[int | None] = [None] * len(found)
        if found and self._record is not None:
            numbers = self._record.decisions([decision_row(*row) for row in found])
        for (event, decision, right, target, kind), number in zip(found, numbers, strict=True):
            self.keep(Denial(event, decision, right, target, number, kind))

    def _beside(self, event: Event, decision: Decision) -> Decision:
        """A denial in the program's own directory, whose files are known by another name."""
        if event.right in ("write", "append"):
            because = "the program's own directory is read-only in the guest"
            return decision.replace(because=because, remedy="", grant=None)
        from belljar.policy.deciding import quote

        host = host_path(event.target or "", self._mapped)
        return decision.replace(
            because="of the files beside the program only .py files are shown",
            remedy=f"--read {quote(host)}",
            grant=None,
        )

    def keep(self, denial: Denial) -> None:
        """Count and tell a denial or alert that is in the record."""
        place = denial.event.stack[0] if denial.event.stack else None
        key = (denial.kind, denial.right or denial.event.name, denial.target, place)
        if key in self._seen:
            self.repeated += 1
            return
        if len(self._seen) < _MAX_KEPT:
            self._seen.add(key)
            (self.denials if denial.kind == "denial" else self.alerts).append(denial)
        self._tell(denial)


def _hidden(by: Decision | Grant, target: str) -> bool:
    """Is `target` in the host's temporary directory, behind the guest's own?"""
    grant = by.grant if isinstance(by, Decision) else by
    if grant is None or grant.origin != "runtime" or grant.target != _TEMPORARY:
        return False
    return target.startswith(f"{_TEMPORARY}/")


def _cuts(event: Event, decision: Decision, mapped: tuple[tuple[str, str], ...]) -> bool:
    """Whether an open that makes a file, where only adding is granted, found one: the wall refuses
    to cut it. One that was changed since may be what the open made, and is not told."""
    grant = decision.grant
    if grant is None or grant.right != "append" or event.right != "write":
        return False
    if event.target == grant.target:  # a file by itself: a pipe lies there, and nothing is cut
        return False
    mode, flags = (*event.args, None, None, None)[1:3]
    if (type(flags) is int and flags & _EXCLUSIVE) or (type(mode) is str and "x" in mode):
        return False
    path = host_path(event.target or "", mapped)
    try:
        there = None if "\0" in path else os.lstat(path)
    except OSError:
        return False
    return there is not None and there.st_ctime_ns < event.time - _BEHIND


def _practical(name: str, decision: Decision, right: str, target: str) -> Decision:
    """`decision` without remedies that would not work as they stand."""
    flag = decision.remedy.partition(" ")[0]
    if flag in ("--write", "--append") and right in _PATHS:
        from belljar.policy.deciding import quote

        whole = os.path.lexists(target) and name not in _OF_THE_DIRECTORY
        there = target if whole else os.path.dirname(target)
        return decision.replace(remedy=f"--write {quote(there)}")
    return decision


def _refused(
    policy: Policy, event: Event, decision: Decision, mapped: tuple[tuple[str, str], ...]
) -> tuple[Refused, ...]:
    """The rights that were really refused. A path that the host does not have either is a miss,
    not a denial; the guest cannot tell the two apart, the host's owner should."""
    from belljar.events.targets import targets
    from belljar.policy import decide

    rows: list[Refused] = []
    needed = targets(event)
    for right, told in needed:
        target = {"code": event.name, "process": "a process"}.get(right, told)
        if target is None:
            continue
        why = decision
        if len(needed) > 1:  # a rename may lack only one of its two ends
            one = event.replace(name="", right=right, target=target)
            why = decide(policy, one)
            if why.verdict != "deny":
                continue
        if right in _PATHS and not _on_host(target, right, mapped):
            continue
        rows.append((right, target, _practical(event.name, why, right, target)))
    return tuple(rows)


def _on_host(target: str, right: str, mapped: tuple[tuple[str, str], ...]) -> bool:
    target = host_path(target, mapped)
    place = os.path.dirname(target) if right in ("write", "append") else target
    return "\0" not in target and os.path.lexists(place)
