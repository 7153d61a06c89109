"""What recorded processes did before: as much of it as rules with `after` and `shadows` ask for.

Bounded, whatever the processes claim: of too many, the oldest is forgotten.
"""

from __future__ import annotations

from belljar.events.targets import text_of
from belljar.policy.rules import NOTHING, Past

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.model import Event, Rule
    from belljar.policy.rules import Rules

_MOST: Final = 1 << 14


class History:
    """Follows processes for `rules`: tell it of every beginning and end, and of events in order."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._did: dict[int, frozenset[int]] = {}
        self._importing: dict[tuple[int, int], str] = {}

    def begins(self, pid: int, parent: int, *, forked: bool) -> None:
        """A process was heard for the first time: a fork did what its parent did, what an exec
        made of a process what that did before. (So a number that comes again may find the past of
        another; that is rare, and errs to the safe side.)"""
        if not forked:
            return
        done = self._did.get(parent)
        self._did.pop(pid, None)
        if done:
            self._did[pid] = done
            _bound(self._did)

    def past(self, event: Event) -> Past:
        """What came before `event` in its process and thread."""
        did = self._did.get(event.pid)
        importing = self._importing.get((event.pid, event.thread), "")
        if did is None and not importing:
            return NOTHING
        return Past(did or frozenset(), importing)

    def look(self, event: Event) -> tuple[Rule | None, bool]:
        """The rule that fires for `event`, after what came before, and whether one could fire
        for another just like it. From here on, `event` came before."""
        fired, marks, possible = self._rules.look(event, self.past(event))
        if event.name == "import" and self._rules.shadows:
            name = text_of(event.args[0]) if event.args else None
            self.imports(event.pid, event.thread, name or "")
        if marks:
            did = self._did.get(event.pid, frozenset())
            if not did.issuperset(marks):
                self._did[event.pid] = did.union(marks)
                _bound(self._did)
        return fired, possible

    def imports(self, pid: int, thread: int, name: str) -> None:
        """A thread announced the import of `name`."""
        self._importing[pid, thread] = name
        _bound(self._importing)


def _bound(table: dict[Any, Any]) -> None:
    if len(table) > _MOST:
        del table[next(iter(table))]
