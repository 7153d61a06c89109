"""One entry of the record with all that belongs to it: the run, the process, the event behind a
decision, the grants that were considered, and what happened around it.

Everything but the run's own START entry comes from the recorded program: the caller escapes it.
"""

from __future__ import annotations

from belljar.events.targets import targets
from belljar.ledger.decisions import MATCH
from belljar.ledger.entries import entry as entry_of
from belljar.ledger.runs import holding, picked, records
from belljar.model import Event, Rule, Value
from belljar.policy.consider import considered, settings
from belljar.policy.plain import from_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.ledger.entries import Entry
    from belljar.ledger.runs import Run
    from belljar.model import Grant, Policy

AROUND: Final = 3  # events before and after
_MOST_RECORDS: Final = 400  # to look for what came after


class Explained(Value):
    """What is known of one entry.

    `entry` is the entry itself, `event` that of the event it is about (itself, where it is one);
    `hello` that of its process. `row` is the decision as it was kept. `considered` are grants and
    why they cover the target or not, of `grants` in all; `rule` the one that fired.
    """

    entry: Entry
    run: Run | None
    run_id: bytes
    row: dict[str, Any] | None = None
    event: Entry | None = None
    hello: Entry | None = None
    before: tuple[Entry, ...] = ()
    after: tuple[Entry, ...] = ()
    has_policy: bool = False
    considered: tuple[tuple[Grant, str], ...] = ()
    settings: tuple[tuple[str, str, str], ...] = ()
    grants: int = 0
    rule: Rule | None = None
    needs: tuple[tuple[str, str | None], ...] = ()


def explain(directory: str, number: int) -> Explained:
    """Entry `number` of the ledger in `directory`. Raises `LedgerError` when there is none.

    >>> explain("/tmp/example", 412).row  # doctest: +SKIP
    """
    entry = entry_of(directory, number)
    run, run_id = holding(directory, number)
    row = entry.data if entry.kind == "decision" and isinstance(entry.data, dict) else None
    pid, seq = (entry.pid, entry.seq) if row is None else (row.get("pid"), row.get("seq"))
    found = Explained(entry, run, run_id, row)
    if run is not None and type(pid) is int and type(seq) is int and (pid or row is not None):
        found = _around(directory, run, found, pid, seq)
    if row is not None and run is not None:
        found = _decided(found, row, run)
    if found.event is not None and isinstance(found.event.data, Event):
        found = found.replace(needs=targets(found.event.data))
    return found


def _around(directory: str, run: Run, found: Explained, pid: int, seq: int) -> Explained:
    """The event, its process's greeting and its neighbours. A number of a process may come again
    (after an exec, or where numbers are used up): what counts is the incarnation at the entry."""
    hello: Entry | None = None
    near: list[Entry] = []
    behind = 0

    def wanted(p: int, n: int) -> bool:
        return p == pid and (n == 0 or abs(n - seq) <= AROUND)

    over = False
    for record in records(directory, run):
        past = record.first > found.entry.number
        behind += past
        if over or behind > _MOST_RECORDS:
            break
        for one in picked(record, wanted):
            if one.kind == "hello":
                if one.number > found.entry.number:
                    over = True
                    break
                hello, near = one, []
            elif one.kind == "event":
                near.append(one)
        over = over or (past and any(n.seq >= seq + AROUND for n in near))
    own = next((n for n in near if n.seq == seq), None)
    return found.replace(
        event=own,
        hello=hello,
        before=tuple(n for n in near if n.seq < seq),
        after=tuple(n for n in near if n.seq > seq),
    )


def _rule(origin: object, policy: Policy | None) -> Rule | None:
    """The rule that was written there: one of the policy, or one that comes with Belljar."""
    if not isinstance(origin, str) or not origin:
        return None
    from belljar.policy.rules import shipped

    for rule in (*(policy.rules if policy is not None else ()), *shipped()):
        if rule.origin == origin:
            return rule
    return None


def _recorded(match: object, after: object) -> Rule | None:
    """The rule as the record of a watched run has it."""
    if type(match) is not dict:
        return None
    patterns: dict[str, Any] = {
        name: tuple(value)
        for name, value in match.items()
        if name in MATCH and type(value) is list and all(type(one) is str for one in value)
    }
    return Rule(after=_recorded(after, None), **patterns)


def _decided(found: Explained, row: dict[str, Any], run: Run) -> Explained:
    policy = from_plain(run.data.get("effective"))
    rule = _rule(row.get("rule"), policy) or _recorded(row.get("match"), row.get("after"))
    found = found.replace(rule=rule)
    if policy is None:
        return found
    right, target = row.get("right"), row.get("target")
    found = found.replace(has_policy=True, grants=len(policy.grants))
    if not isinstance(right, str) or not isinstance(target, str):
        return found
    event = found.event.data if found.event is not None else None
    if not isinstance(event, Event):
        event = Event(0, 0, 0, 0, "", ())
    rows, grants = considered(policy, event, right, target)
    return found.replace(considered=rows, grants=grants, settings=settings(policy, right))
