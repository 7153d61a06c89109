"""How a run ended, as data."""

from __future__ import annotations

from belljar.model import Decision, Event, Status, Value


class Denial(Value):
    """One thing the guest tried and had no grant for. `number` is its ledger entry, or None.

    `times` counts the same attempt from the same place.
    """

    event: Event
    decision: Decision
    right: str
    target: str
    number: int | None
    kind: str = "denial"  # or "alert"


class Usage(Value):
    """What the guest used: seconds, bytes, counts."""

    wall: float = 0.0
    user: float = 0.0
    system: float = 0.0
    peak_memory: int = 0
    output: int = 0
    events: int = 0


class Result(Value):
    """The end of a run.

    `ended_by` is `exit`, `signal`, `wall`, `cpu`, `output`, `interrupt` or `refused`; `status`
    is the exit status of `belljar run` (the program's own, 128+n, or 124).
    """

    status: int
    ended_by: str
    receipt: Status
    usage: Usage = Usage()
    signal: int = 0
    denials: tuple[Denial, ...] = ()
    alerts: tuple[Denial, ...] = ()
    repeated: int = 0
    missed: int = 0  # gaps in the numbers of events, and events that the recorder dropped
    ledger: str | None = None
    run_id: str = ""
    unkept: int = 0  # events beyond what a record may hold
    planted: tuple[str, ...] = ()  # written by the guest, and obeyed or executed elsewhere
    waiting: tuple[tuple[str, str], ...] = ()  # overlays with changes: directory, name
    stdout: bytes = b""
    stderr: bytes = b""
