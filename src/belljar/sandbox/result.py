"""How a run ended, as data."""

from __future__ import annotations

from belljar.model import Decision, Event, Status, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.errors import GuestError


class Denial(Value):
    """One thing the guest tried and had no grant for. `number` is its ledger entry, or None.

    As text it is one line, harmless on a terminal.

    >>> print(denial)  # doctest: +SKIP
    denied[read]: may not read /etc/passwd, at job.py:14 in load: no grant covers it
    """

    event: Event
    decision: Decision
    right: str
    target: str
    number: int | None
    kind: str = "denial"  # or "alert"

    def __str__(self) -> str:
        from belljar.policy.toml import printable
        from belljar.policy.wording import words_for

        right, target = self.right or self.event.name, self.target or self.event.asked or ""
        head = "denied" if self.kind == "denial" else self.kind
        verb = words_for(self.right, self.right) or f"raise {self.event.name}"
        place = ""
        if self.event.stack:
            frame = self.event.stack[0]
            place = printable(f", at {frame.file}:{frame.line} in {frame.function}")
        may = "may not " if self.kind == "denial" else ""
        line = printable(f"{head}[{right}]: {may}{verb} {target}".rstrip())
        return f"{line}{place}: {printable(self.decision.because)}"

    def __repr__(self) -> str:
        return f"<Denial {str(self)!a}>"


class Usage(Value):
    """What the guest used: seconds, bytes, counts."""

    wall: float = 0.0
    user: float = 0.0
    system: float = 0.0
    peak_memory: int = 0
    output: int = 0
    events: int = 0
    cpu: float = 0.0  # user and system together: of one call, that is all that is known


class Result(Value):
    """The end of a run, whether of a whole program or of one in a live sandbox.

    `ended_by` is `exit`, `signal`, `wall`, `cpu`, `memory`, `output`, `disk`, `interrupt`,
    `closed`, `protocol`, `lost`, `failed` or `refused`; `status` is the exit status of `belljar
    run` (the program's own, 128+n, or 124); 1 where `error` says which exception it ended with.

    `value` is that of the last expression, `output` what was written, in order: pieces of
    (1 or 2, bytes). Everything in them was made by the guest: compare and show it with care.
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
    output: tuple[tuple[int, bytes], ...] = ()
    value: Any = None
    error: GuestError | None = None
    frames: tuple[bytes, ...] = ()  # of events, undecoded
    reason: str = ""  # of `protocol`: what it sent that may not be

    def __repr__(self) -> str:
        told = [f"status={self.status}", f"ended_by={self.ended_by!r}"]
        if self.value is not None:
            told.append(f"value=<{type(self.value).__name__}>")
        if self.error is not None:
            told.append(f"error={str(self.error)[:200]!a}")
        sizes = ("output", self.usage.output), ("denials", len(self.denials))
        told += [f"{name}={size}" for name, size in sizes if size]
        return f"Result({', '.join(told)})"

    @property
    def stdout(self) -> bytes:
        """What it wrote to standard output."""
        return b"".join(data for number, data in self.output if number == 1)

    @property
    def stderr(self) -> bytes:
        """What it wrote to standard error."""
        return b"".join(data for number, data in self.output if number == 2)

    @property
    def text(self) -> str:
        """Both, in the order in which they were written, as text. Escape it before a terminal."""
        return b"".join(data for _, data in self.output).decode("utf-8", "backslashreplace")

    @property
    def events(self) -> tuple[Event, ...]:
        """What the guest did meanwhile, decoded; up to a megabyte of it (all is in the ledger)."""
        from belljar.sandbox.frames import decoded

        return decoded(self.frames)

    def check(self) -> Result:
        """This result, if all went well. Raises `GuestError` for an exception of the guest's or an
        exit status that is not 0, `SandboxEnded` where the guest was ended.

        >>> belljar.run("1 / 0").check()  # doctest: +SKIP
        Traceback (most recent call last):
        belljar.errors.GuestError: ZeroDivisionError: division by zero
        """
        from belljar.errors import GuestError, SandboxEnded

        if self.error is not None:
            raise self.error
        if self.ended_by != "exit":
            why = f"{self.ended_by}: {self.reason}" if self.reason else self.ended_by
            raise SandboxEnded(f"the sandbox was ended by {why}", self.ended_by, self)
        if self.status:
            raise GuestError("SystemExit", str(self.status))
        return self
