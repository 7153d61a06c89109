"""A watched run, as the ledger keeps it."""

from __future__ import annotations

import os
import time

from belljar import __version__
from belljar._native import pack
from belljar.errors import LedgerError
from belljar.ledger import DECISIONS, END, EVENTS, START, open_writer, resolve
from belljar.ledger.decisions import MATCH, decision_row
from belljar.ledger.starts import guest, program
from belljar.model import Decision
from belljar.watch.arbiter import because
from belljar.watch.findings import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

    from belljar.model import Rule
    from belljar.watch.arbiter import Alert
    from belljar.watch.collect import Chunk
    from belljar.watch.run import Watched


_MOST_PATTERNS: Final = 20
_MOST_ENDS: Final = 256


class Record:
    """One watched run in the ledger that `setting` names (a directory, `auto` or `none`).

    Raises `LedgerError` from the constructor and `start`: nothing runs unrecorded. What fails
    later ends the record and becomes one of `findings`; the program is not stopped for it.
    """

    def __init__(self, setting: str, sync: str = "batch", sinks: Sequence[str] = ()) -> None:
        directory = resolve(setting)
        self._sinks = sinks
        self._writer = None if directory is None else open_writer(directory, sync)
        self._run = os.urandom(16)
        self.findings: list[Finding] = []
        self._started = 0.0
        self._fired = {"denial": 0, "alert": 0}

    @property
    def run_id(self) -> bytes:
        """The id of this run in the ledger."""
        return self._run

    @property
    def kept(self) -> bool:
        """Is there a record?"""
        return self._writer is not None

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._writer is not None:
            self._writer.close()
            if self._sinks:
                from belljar.ledger.sinks import finish

                finish(self._run)

    def start(self, argv: list[str]) -> None:
        """Record what is about to be run."""
        self._started = time.monotonic()
        start: dict[str, Any] = {
            "mode": "watch", "guest": guest(*program(argv)), "argv": argv, "cwd": _here(),
            "uid": os.geteuid(), "pid": os.getpid(), "belljar": __version__,
        }  # fmt: skip
        if self._sinks and self._writer is not None:
            from belljar.ledger.sinks import register

            start["sinks"] = register(self._writer.directory, self._sinks, self._run)
        self._map(START, start)

    def take(self, chunks: list[Chunk]) -> bool:
        """Record frames as they came. True when the ledger has them, which is what a process
        that waits may be told."""
        if self._writer is None:
            return False
        try:
            self._writer.append([(EVENTS, c.count, c.data) for c in chunks], self._run)
        except LedgerError as error:
            self._fail(str(error))
            return False
        return True

    def alert(self, alert: Alert) -> int | None:
        """Record that a rule fired; the number of the entry, None where there is no record."""
        if self._writer is None:
            return None
        event, rule = alert.event, alert.rule
        verdict = "deny" if alert.refused else "none"
        decision = Decision(verdict, because(alert), rule=rule)
        kind = "denial" if alert.refused else "alert"
        self._fired[kind] += 1
        row = decision_row(
            event, decision, event.right or "", event.target or "", kind, alert.package
        )
        row["match"] = _match(rule)
        if rule.after is not None:
            row["after"] = _match(rule.after)
        try:
            return self._writer.append([(DECISIONS, 1, pack([row]))], self._run)[0]
        except LedgerError as error:
            self._fail(str(error))
            return None

    def end(self, result: Watched) -> None:
        """Record how it ended."""
        found = [finding.plain() for finding in result.findings]
        end: dict[str, Any] = {
            "ended-by": "signal" if result.signal else "exit",
            "status": result.status,
            "signal": result.signal,
            "wall": round(time.monotonic() - self._started, 6),
            "events": result.events,
            "drops": result.drops,
            "denials": self._fired["denial"],
            "alerts": self._fired["alert"],
        }
        amiss = [one.plain() for one in result.ends if one.signal or one.status][:_MOST_ENDS]
        try:
            self._map(END, {**end, "findings": found, "ends": amiss})
        except LedgerError as error:
            self._fail(str(error))

    def _map(self, kind: int, value: dict[str, Any]) -> None:
        if self._writer is not None:
            self._writer.append([(kind, 1, pack(_sound(value)))], self._run)

    def _fail(self, why: str) -> None:
        """The program runs on, nothing more is recorded, and the summary says so."""
        self.findings.append(Finding("ledger", 0, 0, 0, f"the record ends early: {why}"))
        if self._writer is not None:
            self._writer.close()
        self._writer = None


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was deleted
        return ""


def _match(rule: Rule) -> dict[str, Any]:
    """What a rule looks for: its file may be another one when somebody asks why."""
    return {
        name: _sound([value] if isinstance(value, str) else list(value)[:_MOST_PATTERNS])
        for name in MATCH
        if (value := getattr(rule, name)) not in ("", "*")
    }


def _sound(value: Any) -> Any:
    """`value` with bytes that were no UTF-8 spelled out: MessagePack has no place for them."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_sound(item) for item in value]
    if isinstance(value, dict):
        return {key: _sound(item) for key, item in value.items()}
    return value
