"""What the collector found wrong with a record."""

from __future__ import annotations

from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Finding(Value):
    """One flaw of a record. `kind` is one of

    `gap` (numbers `first` to `last` of `pid` are missing), `order` (number `last` came where
    `first` was due), `drops` (`pid` says that it lost `first` events), `vanished` (`pid` ended
    without a farewell, and not told to by another; `first` is its last number),
    `silenced` (`pid` is no longer heard: its hook was found gone, and event `first` says
    so), `running` (`pid` was not
    seen to end),
    `forged` (`first` frames in the name of others came over the channel of `pid`, or over one
    that is nobody's any more), `malformed` (`first` bytes that are no frames), `silent` (nothing
    came from `pid` at all),
    `unheard` (`pid` started an interpreter that did not speak),
    `mismatch` (an event came with other arguments than declared, `first` times),
    `flood` (more processes or findings than are counted), `unseen` (looking
    at events failed `first` times) and `ledger` (see `detail`).

    >>> print(Finding("gap", 7, 3, 4))
    events 3 to 4 of process 7 are missing
    """

    kind: str
    pid: int = 0
    first: int = 0
    last: int = 0
    detail: str = ""

    def __str__(self) -> str:
        who = f"process {self.pid}"
        if self.detail:
            return self.detail
        if self.kind == "gap":
            which = f"event {self.first}" if self.first == self.last else ""
            which = which or f"events {self.first} to {self.last}"
            verb = "is" if self.first == self.last else "are"
            return f"{which} of {who} {verb} missing"
        if self.kind == "order":
            return f"{who} sent number {self.last} where {self.first} was due"
        if self.kind == "drops":
            return f"{who} lost {self.first} {'event' if self.first == 1 else 'events'}"
        if self.kind == "vanished":
            return f"{who} ended without a farewell, after event {self.first}"
        if self.kind == "silenced":
            return f"{who} is not heard any more: its audit hook was gone by event {self.first}"
        if self.kind == "running":
            return f"{who} was still running when the record was closed"
        if self.kind == "forged":
            whose = who if self.pid < (1 << 32) - 1 else "a channel that is nobody's any more"
            return f"{self.first} frames in the name of other processes came from {whose}"
        if self.kind == "malformed":
            return f"{self.first} bytes in the channel were no frames"
        if self.kind == "silent":
            return (
                f"{who} was not recorded: the recorder needs CPython 3.8 or later, loaded when the"
                " program starts (one that loads it later can start the recorder itself:"
                " docs/embedding.md)"
            )
        return self.kind

    def plain(self) -> dict[str, Any]:
        """The finding as a map of plain values, for a ledger or JSON."""
        return {
            "kind": self.kind,
            "pid": self.pid,
            "first": self.first,
            "last": self.last,
            "text": str(self),
        }


def of_gap(pid: int, expected: int, found: int) -> Finding:
    """The finding for a number that is not the one that was due."""
    if found > expected:
        return Finding("gap", pid, expected, found - 1)
    return Finding("order", pid, expected, found)
