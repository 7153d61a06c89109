"""Events of a guest as they come: keep them, decide on them, number what was decided.

Everything here is hostile input. Frames are checked by `scan_frames` and decoded strictly; what
does not decode is kept, counted, and decides nothing.
"""

from __future__ import annotations

import os

from belljar.errors import GuestProtocolError
from belljar.ledger.decisions import decision_row
from belljar.model import Decision, Event, Policy
from belljar.sandbox.result import Denial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from belljar.sandbox.record import Record

    Refused = tuple[str, str, Decision]
    Found = tuple[Event, Decision, str, str, str]

_HEADER = 32
_KIND = 4
_HELLO, _EVENT = 1, 2
_MAX_KEPT = 10_000  # denials kept in memory; all of them are in the ledger
_MAX_MEMO = 50_000
#: How many refusals are compared with the host's files while the guest runs. It could forge
#: thousands and measure by the back pressure whether a file exists; the rest is looked at later.
_LIVE = 32
_BEGIN = b"belljar.begin"
#: What these change is the directory: a grant of the file itself would not do.
_OF_THE_DIRECTORY = frozenset(
    ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink")
)
_PATHS = frozenset(("read", "list", "write", "append", "execute"))


class Judge:
    """Takes whole frames, keeps them, decides, and reports denials.

    `greeted` turns True with the first hello: the recorder is in place.
    """

    def __init__(
        self,
        policy: Policy,
        record: Record | None,
        tell: Callable[[Denial], None],
        mapped: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._mapped = mapped
        self._policy = policy
        self._record = record
        self._tell = tell
        self._memo: set[bytes] = set()
        self._memo_denied: set[bytes] = set()
        self._seen: set[tuple[object, ...]] = set()
        self._later: list[tuple[Event, Decision]] = []
        self._live = _LIVE
        self._all = bool(policy.rules)
        self._begun = False
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
        self.events += count
        for offset, length in _walk(frames) if self._all else flagged:
            kind = frames[offset + _KIND]
            if self._all and not self._begun:  # rules are about the program, not Python's start
                self._begun = _BEGIN in frames[offset : offset + length]
                if kind == _EVENT:
                    continue
            if kind == _HELLO:
                self.greeted = True
            elif kind == _EVENT:
                self._look(frames[offset : offset + length], found)
        if self._record is not None:
            self._record.events(frames, count, flagged)
        self._report(found)

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
        if decision.rule is not None and decision.rule.then == "alert":
            found.append((event, decision, event.right or "", event.target or "", "alert"))
        elif len(self._memo) < _MAX_MEMO:
            self._memo.add(body)
        if decision.verdict != "deny":
            return
        if len(self._memo_denied) < _MAX_MEMO:
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
        if event.name == "belljar.denied" and decision.verdict != "deny":
            because = "its native code is not granted"
            return Decision("deny", because, None, f"--import {target}")
        if event.refused and decision.verdict == "allow" and event.right == "write":
            because = "something outside may later obey or execute it, and no grant names it"
            return Decision("deny", because, decision.grant, f"--write {target}")
        if decision.verdict == "deny" and target.startswith("/box/"):
            return self._beside(event, decision)
        return decision

    def _refuse(self, event: Event, decision: Decision, found: list[Found]) -> None:
        for right, target, why in _refused(self._policy, event, decision, self._mapped)[:1]:
            found.append((event, why, right, target, "denial"))

    def _report(self, found: list[Found]) -> None:
        numbers: list[int | None] = [None] * len(found)
        if found and self._record is not None:
            numbers = self._record.decisions([decision_row(*row) for row in found])
        for (event, decision, right, target, kind), number in zip(found, numbers, strict=True):
            self._keep(Denial(event, decision, right, target, number, kind))

    def _beside(self, event: Event, decision: Decision) -> Decision:
        """A denial in the program's own directory, whose files are known by another name."""
        if event.right in ("write", "append"):
            because = "the program's own directory is read-only in the guest"
            return decision.replace(because=because, remedy="", grant=None)
        from belljar.policy.deciding import quote

        host = _host_path(event.target or "", self._mapped)
        return decision.replace(
            because="of the files beside the program only .py files are shown",
            remedy=f"--read {quote(host)}",
            grant=None,
        )

    def _keep(self, denial: Denial) -> None:
        place = denial.event.stack[0] if denial.event.stack else None
        key = (denial.kind, denial.right, denial.target, place)
        if key in self._seen:
            self.repeated += 1
            return
        if len(self._seen) < _MAX_KEPT:
            self._seen.add(key)
            (self.denials if denial.kind == "denial" else self.alerts).append(denial)
        self._tell(denial)


def _practical(name: str, decision: Decision, right: str, target: str) -> Decision:
    """`decision` without remedies that would not work as they stand."""
    flag = decision.remedy.partition(" ")[0]
    host = target.rpartition(":")[0]
    if flag == "--bind" or target.startswith(("udp:", "unix:")):
        return decision.replace(remedy="")  # no wall can give it in this version
    if flag == "--connect" and not host.startswith("[") and not host.replace(".", "").isdigit():
        return decision.replace(remedy="")  # only literal addresses can be granted
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
    for right, target in needed:
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


def _host_path(target: str, mapped: tuple[tuple[str, str], ...]) -> str:
    for guest, host in mapped:
        if target == guest or target.startswith(guest + "/"):
            return host + target[len(guest) :]
    return target


def _on_host(target: str, right: str, mapped: tuple[tuple[str, str], ...]) -> bool:
    target = _host_path(target, mapped)
    place = os.path.dirname(target) if right in ("write", "append") else target
    return "\0" not in target and os.path.lexists(place)


def _walk(frames: bytes) -> list[tuple[int, int]]:
    places = []
    offset = 0
    while offset < len(frames):  # scan_frames checked every length
        length = frames[offset + 2] | frames[offset + 3] << 8
        places.append((offset, length))
        offset += length
    return places
