"""`logging` and the record on one time line, in both directions.

`RecordHandler` raises each message of an application as the audit event `logging.record` (level,
logger, message), which is in the record of `belljar run` and `watch` between the events around it.
`Findings` gives what `belljar.watching()` saw to a logger.
"""

from __future__ import annotations

import logging
import sys
import time
from threading import Event as Flag
from threading import Thread, get_native_id, local

from belljar.ledger.entries import Entry
from belljar.ledger.sinks.fields import item
from belljar.ledger.sinks.severity import LEVELS, LOGGED, to_level
from belljar.ledger.sinks.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, Self

    from belljar.model import Event
    from belljar.policy.rules import Rules
    from belljar.watch.here import Watching

_LONGEST: Final = 4096  # characters of a message; a frame of the recorder has 64 KiB
_NAME: Final = 256
_EVERY: Final = 0.5


class _Busy(local):
    """Whether this thread is in a handler of ours: what is raised there raises nothing again."""

    now: bool = False


_busy: Final = _Busy()


class RecordHandler(logging.Handler):
    """A handler that puts messages into the record of whoever watches this process.

    Costs little where nobody does. A rule may refuse the event; then the application goes on, as
    after any handler that fails (`logging.raiseExceptions`).

    >>> logging.getLogger("shop").addHandler(RecordHandler())
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Raise `record` as the audit event `logging.record`."""
        if _busy.now or record.name.partition(".")[0] == "belljar":
            return  # what Findings says came from events
        _busy.now = True
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[0] is not None:
                text += f" ({record.exc_info[0].__name__})"
            sys.audit(LOGGED, int(record.levelno), str(record.name)[:_NAME], text[:_LONGEST])
        except Exception:  # noqa: BLE001 - as every handler: logging must not end the program
            self.handleError(record)
        finally:
            _busy.now = False


class Findings:
    """While the block is open, what `watching` records goes to a logger, twice a second.

    With `rules` only events for which one fires, and no event at all for a rule that says
    `record`; without, every event of at least `least` (a word of `belljar.ledger.sinks`, such as
    notice). Each record has the fields of `docs/sinks.md` as `belljar`, and the event's own time.
    What the logger's handlers do meanwhile is not told: telling it would never end. Below a level
    that was set on the logger itself nothing is told.

    >>> import belljar
    >>> with belljar.watching() as events, Findings(events, least="warning"):
    ...     pass
    """

    def __init__(
        self, watching: Watching, logger: logging.Logger | None = None, *,
        rules: Rules | None = None, least: str = "notice",
    ) -> None:  # fmt: skip
        self._watching = watching
        self._logger = logger or logging.getLogger("belljar.findings")
        self._rules = rules
        self._least = LEVELS.index(least)
        self._stop = Flag()
        self._told = 0, 0, 0  # the thread and the time of what was told last
        self._thread = Thread(target=self._run, name="belljar-findings", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self.pump()

    def pump(self) -> int:
        """Give what has come so far to the logger; how many records that were."""
        told = 0
        _busy.now = True
        events = self._watching.take()
        begin = time.time_ns()
        try:
            for event in events:
                told += self._one(event)
        finally:
            _busy.now = False
            if told:
                self._told = get_native_id(), begin, time.time_ns()
        return told

    def _run(self) -> None:
        while not self._stop.wait(_EVERY):
            self.pump()

    def _one(self, event: Event) -> bool:
        thread, begin, end = self._told
        if event.name == LOGGED or event.thread == self._thread.native_id:
            return False  # it is in the log already, or it is ours
        if event.thread == thread and begin <= event.time <= end:
            return False  # what the handlers did
        entry = Entry(
            event.seq, "event", event.time, event.time, b"", event, event.pid, event.thread,
            event.seq,
        )  # fmt: skip
        found = item(entry, "")
        level, text = found.level, found.message
        if self._rules is not None:
            rule = self._rules.judge(event)
            if rule is None or rule.then == "record":
                return False
            level = LEVELS.index("error")
            text = f"[{rule.id or rule.event}] {text}" + (f": {rule.text}" if rule.text else "")
        elif level > self._least:
            return False
        if self._logger.level > to_level(level):
            return False
        self._logger.handle(self._record(event, to_level(level), text, dict(found.fields)))
        return True

    def _record(
        self, event: Event, level: int, text: str, fields: dict[str, Any]
    ) -> logging.LogRecord:
        frame = event.stack[0] if event.stack else None
        record = logging.LogRecord(
            self._logger.name, level, safe(frame.file) if frame else "", frame.line if frame else 0,
            "%s", (safe(text),), None, safe(frame.function) if frame else None,
        )  # fmt: skip
        record.created = event.time / 1e9
        record.msecs = event.time // 10**6 % 1000
        record.process, record.thread = event.pid, event.thread
        record.belljar = {k: v for k, v in fields.items() if v not in ("", 0) or k == "line"}
        return record
