"""What a guest calls of what the host shares, into the same record as everything else it does."""

from __future__ import annotations

import time

from belljar.ledger.decisions import decision_row
from belljar.model import Decision, Event
from belljar.sandbox.result import Denial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.sandbox.judge import Judge
    from belljar.sandbox.record import Record

RIGHT = "call"
_EVENT = "belljar.call"
#: Rows that may wait for being written together.
_MOST = 64


class Calls:
    """The calls of one guest. A call that was allowed is in the record at the latest when the
    request that it was made in has its answer; a refusal is written, and told, at once."""

    def __init__(self, pid: int, judge: Judge, record: Record | None) -> None:
        self._pid = pid
        self._judge = judge
        self._record = record
        self._rows: list[dict[str, object]] = []

    def note(self, name: str, method: str, decision: Decision) -> None:
        """One call of `host.<name>.<method>`. The caller holds the guest's lock. Raises
        `LedgerError` where it cannot be kept: then it must not be made."""
        target = f"host.{name}.{method[:200]}" if name else f"host.{method[:200]}"
        event = Event(0, time.time_ns(), self._pid, 0, _EVENT, (), RIGHT, target, target)
        refused = decision.verdict == "deny"
        if self._record is not None:
            kind = "denial" if refused else "call"
            self._rows.append(decision_row(event, decision, RIGHT, target, kind))
        numbers: list[int | None] = [None]
        if refused or len(self._rows) >= _MOST:
            numbers = self.flush() or numbers
        if refused:
            self._judge.keep(Denial(event, decision, RIGHT, target, numbers[-1]))

    def flush(self) -> list[int | None]:
        """Write what waits; the number of each row."""
        rows, self._rows = self._rows, []
        if not rows or self._record is None:
            return []
        return self._record.decisions(rows)
