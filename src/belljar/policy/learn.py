"""From what a program did to the smallest policy that would have sufficed. Pure: events in, a
policy and the reasons for each of its grants out; all that is known of the host is in `Facts`.

Nothing is generalised: exact files, exact addresses. What may tell a secret, or is obeyed by
something else, is not granted but proposed: a person decides.
"""

from __future__ import annotations

from belljar.events.paths import covers
from belljar.events.targets import targets
from belljar.model import Event, Grant, Policy
from belljar.policy.addresses import with_protocol
from belljar.policy.deciding import decide
from belljar.policy.facts import Facts
from belljar.policy.items import Item, Learned, Want, drop_covered, item_of
from belljar.policy.places import Places
from belljar.policy.withhold import address, module, path, program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

MOST: Final = 10_000  # different things that a program needed
_PATHS: Final = ("read", "list", "write", "append", "execute")
_ADDRESSES: Final = ("connect", "bind")
_KEYS: Final = ("read", "write", "connect", "bind", "import", "run")
_BEGINS: Final = "cpython.run_"
_DAY: Final = 86_400.0


class Learner:
    """Takes events in order; `finish` gives the policy. It holds at most `MOST` different needs.

    `base` is the policy that the events were recorded under, where they were: it is kept, and
    only events given as `denied` are added to it.
    """

    def __init__(self, facts: Facts, base: Policy | None = None) -> None:
        self._facts = facts
        self._base = base
        self._places = Places(facts)
        self._wants: dict[tuple[str, str], Want] = {}
        self._given: set[tuple[str, str]] = set()
        self._chdirs: dict[str, Want] = {}
        self._starting: set[int] = set()
        self._used: dict[Grant, int] = {}
        self._forks = 0
        self._asked_input = Want()
        self._times: tuple[int, int] | None = None
        self.peak = 1  # processes at a time
        self.reads_input = False  # known otherwise
        self.overflow = 0
        self.untold = 0
        self._tls = False
        self._code = False  # it was refused to make code by hand

    def started(self, pid: int) -> None:
        """A Python started there: what it does before its program begins is its own affair."""
        self._starting.add(pid)

    def add(self, event: Event, *, denied: bool = False) -> None:
        """One more event."""
        if event.name.startswith(_BEGINS) or event.name == "belljar.begin":
            self._starting.discard(event.pid)
            return
        if event.pid in self._starting:
            return
        if self._times is None:
            self._times = event.time, event.time
        self._times = self._times[0], max(self._times[1], event.time)
        self._code |= denied and event.right == "code"
        self._tls |= event.name == "import" and event.target == "ssl"
        needed = targets(event)
        if self._base is not None and not denied:
            self._use(self._base, event, needed)
            return
        self._places.follow(event, needed)
        if event.name == "os.chdir" and event.target:
            self._count(self._chdirs, event.target, event, denied)
        elif event.name in ("os.fork", "os.forkpty"):
            self._forks += 1
        elif event.name == "builtins.input":
            self._see(self._asked_input, event, denied)
        for right, target in needed:
            if target is None:
                self.untold += right in _PATHS and event.asked is not None
            elif (right, target) not in self._given and not self._importing(event, right, target):
                self._need(event, right, target, denied)

    def _importing(self, event: Event, right: str, target: str) -> bool:
        """Is it the listing of the program's directory that every import makes? A program that
        looks there itself mostly names it otherwise than by its absolute path."""
        absolute = (event.asked or "").startswith("/")
        return right == "list" and target == self._facts.folder and absolute

    def _need(self, event: Event, right: str, target: str, denied: bool) -> None:
        key = (right, target)
        if key not in self._wants:
            one = event.replace(name="", args=(), right=right, target=target)
            native = right == "native" and self._facts.owner(target) != ""
            needless = right in _PATHS and _is_compiled(target)
            if needless or (not native and decide(self._facts.given, one).verdict != "deny"):
                if len(self._given) < 10 * MOST:
                    self._given.add(key)
                return
        self._count(self._wants, key, event, denied)

    def _count(self, wants: dict[Any, Want], key: object, event: Event, denied: bool) -> None:
        want = wants.get(key)
        if want is None:
            if len(wants) >= MOST:
                self.overflow += 1
                return
            want = wants[key] = Want()
        self._see(want, event, denied)

    def _see(self, want: Want, event: Event, denied: bool) -> None:
        want.count += 1
        want.denied |= denied
        want.names.add(event.name)
        if event.stack:
            frame = event.stack[0]
            place = f"{frame.file}:{frame.line}"
            if place in want.places or len(want.places) < 64:
                want.places[place] = want.places.get(place, 0) + 1
                want.files.add(frame.file)

    def _use(self, base: Policy, event: Event, needed: tuple[tuple[str, str | None], ...]) -> None:
        for right, target in needed:
            if target is not None:
                one = event.replace(name="", args=(), right=right, target=target)
                decision = decide(base, one)
                grant = decision.grant
                if grant is not None and decision.verdict != "deny":
                    self._used[grant] = self._used.get(grant, 0) + 1

    def finish(self) -> Learned:
        """The policy so far."""
        left: dict[tuple[str, str], str] = {}
        drafts: dict[tuple[str, str], Want] = {}
        withheld: dict[tuple[str, str], tuple[Want, str]] = {}
        notes: dict[tuple[str, str], str] = {}
        for (right, target), want in self._wants.items():
            if right in _PATHS:
                found, why = self._places.grants(right, target, want.names)
                rows = [(key, value, path(self._facts, key, value, target)) for key, value in found]
            elif right in ("connect", "bind", "resolve"):
                rows, why = address(self._facts, right, target), ""
            elif right == "run":
                rows, why, notes["run", target] = program(self._facts, target)
            else:
                rows, why = module(self._facts, right, target)
            if not rows:
                left[right, target] = why
            for key, value, reason in rows:
                if reason:
                    withheld.setdefault((key, value), (Want(), reason))[0].merge(want)
                else:
                    draft = drafts.setdefault((key, value), Want())
                    draft.merge(want)
                    if right in _PATHS and value != target and len(draft.through) < 9:
                        draft.through.append(target)
                    notes[key, value] = notes.get((right, target), "")
        self._enter(drafts, withheld)
        drop_covered(drafts)
        for key, value, through, want in self._behind_links(drafts):
            reason = path(self._facts, key, value, value)
            if reason:
                withheld.setdefault((key, value), (Want(), reason))[0].merge(want)
            else:
                drafts.setdefault((key, value), Want()).merge(want)
                notes[key, value] = f"where the link {through} leads"
        self._drop_brought(drafts, left)
        items = [*self._kept()]
        for (key, value), want in drafts.items():
            items.append(item_of(key, value, want, note=notes.get((key, value), "")))
        for (key, value), (want, reason) in withheld.items():
            items.append(item_of(key, value, want, withheld=reason))
        items.sort(key=lambda i: (_KEYS.index(i.key), i.value))
        return Learned(self._policy(items), tuple(items), left, tuple(self._notes(left)))

    def _enter(
        self,
        drafts: dict[tuple[str, str], Want],
        withheld: dict[tuple[str, str], tuple[Want, str]],
    ) -> None:
        """Directories that the program changes into have to be seen."""
        for folder, want in self._chdirs.items():
            seen = any(key in ("read", "write") and covers(value, folder) for key, value in drafts)
            one = ("list", folder)
            if seen or one in self._given or self._facts.kind(folder) != "directory":
                continue
            for key, value in self._places.grants("list", folder, want.names)[0]:
                reason = path(self._facts, key, value, folder)
                if reason:
                    withheld.setdefault((key, value), (Want(), reason))[0].merge(want)
                elif decide(self._facts.given, _asking("list", folder)).verdict == "deny":
                    drafts.setdefault((key, value), Want()).merge(want)

    def _behind_links(
        self, drafts: dict[tuple[str, str], Want]
    ) -> list[tuple[str, str, str, Want]]:
        """`(key, path, link, want)`: links do not lead out of a granted directory, so where they
        lead is granted as well."""
        found: list[tuple[str, str, str, Want]] = []
        for (right, target), want in self._wants.items():
            key = "write" if right in ("write", "append") else "read"
            real = self._facts.real(target) if right in _PATHS else target
            if real == target or (key, target) in drafts or not self._facts.kind(real):
                continue
            around = [value for k, value in drafts if k == key and covers(value, target)]
            inside = any(covers(self._facts.real(v), real) or covers(v, real) for v in around)
            apart = any(k == key and covers(value, real) for k, value in drafts)
            given = decide(self._facts.given, _asking(right, real)).verdict == "allow"
            if around and not inside and not apart and not given:
                found.append((key, real, target, want))
        return found

    def _drop_brought(
        self, drafts: dict[tuple[str, str], Want], left: dict[tuple[str, str], str]
    ) -> None:
        """Distributions that another granted one brings, and what the granted ones use."""
        names = [value for key, value in drafts if key == "import"]
        owners = {name for name in names if self._facts.requires(name)}
        for name in names:
            want = drafts["import", name]
            users = {self._facts.owner(file) for file in want.files}
            inner = name not in owners and users and users <= owners
            brought = any(name in self._facts.requires(o) for o in owners - {name})
            if inner or brought:
                owners.discard(name)
                del drafts["import", name]
                left["import", name] = "comes with a distribution that is granted"

    def _kept(self) -> list[Item]:
        if self._base is None:
            return []
        return [
            Item(g.right, g.target, self._used.get(g, 0), origin=g.origin,
                 source=g.source, optional=g.optional)
            for g in self._base.grants
            if g.origin not in ("runtime", "default") and g.right in (*_KEYS, "append")
        ]  # fmt: skip

    def _policy(self, items: list[Item]) -> Policy:
        base = self._base or Policy()
        kept = tuple(g for g in base.grants if g.origin not in ("runtime", "default"))
        new = tuple(
            Grant(i.key, with_protocol(i.value) if i.key in _ADDRESSES else i.value, "learned",
                  i.value if i.key in ("read", "write") else "")
            for i in items if not i.withheld and not i.origin
        )  # fmt: skip
        limits, given = base.limits, dict(base.given)
        runs = any(g.right == "run" for g in kept + new)
        least = max(2, self.peak) if self._forks else self.peak
        if least > (16 if runs and "limits.processes" not in given else limits.processes):
            limits = limits.replace(processes=least)
            given["limits.processes"] = "learned"
        seconds = (self._times[1] - self._times[0]) / 1e9 if self._times else 0.0
        if self._base is None and limits.wall < seconds < _DAY:
            limits = limits.replace(wall=float(60 * (1 + int(2 * seconds / 60))))
            given["limits.wall"] = "learned"
        stdin = base.stdin
        if stdin == "null" and (self.reads_input or self._asked_input.count):
            stdin, given["process.stdin"] = "inherit", "learned"
        if self._code:
            given["modules.bytecode"] = "learned"
        done: Policy = base.replace(
            grants=kept + new, limits=limits, stdin=stdin, given=tuple(given.items()),
            bytecode=base.bytecode or self._code,
        )  # fmt: skip
        return done

    def _notes(self, left: dict[tuple[str, str], str]) -> list[str]:
        notes = []
        if self.overflow:
            notes.append(f"{self.overflow} events more than can be learned from are left out")
        reasons: dict[str, int] = {}
        for reason in left.values():
            reasons[reason] = reasons.get(reason, 0) + 1
        notes += [
            f"{count} target{'s' if count > 1 else ''} left out: {reason}"
            for reason, count in reasons.items()
            if reason
        ]
        for place in sorted(self._places.left_behind)[:5]:
            notes.append(f"{place} was left in the temporary directory; inside it would be gone")
        if self._tls and any(right == "connect" for right, _ in self._wants):
            notes.append("TLS certificates are read without an event: /etc/ssl/certs may be needed")
        if self.untold:
            notes.append(
                f"{self.untold} paths were relative to a directory descriptor, which events do "
                f"not tell: what they need is not learned"
            )
        return notes


def _asking(right: str, target: str) -> Event:
    return Event(0, 0, 0, 0, "", (), right, target)


def _is_compiled(target: str) -> bool:
    """Python's own cache beside modules: inside, nothing is written there."""
    return "/__pycache__" in target or target.endswith(".pyc")
