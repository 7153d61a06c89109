"""How grave an entry is: one of the eight words of RFC 5424, the same for every sink."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.ledger.entries import Entry

#: Gravest first; the index is the severity of RFC 5424 section 6.2.1.
LEVELS: Final = (
    "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug",
)  # fmt: skip
CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG = range(2, 8)
#: OpenTelemetry's SeverityNumber for each (logs data model, appendix B).
OTEL: Final = (21, 19, 18, 17, 13, 10, 9, 5)
_GRAVE: Final = frozenset(("run", "connect", "bind", "native", "signal"))
_KINDS: Final = {
    "hello": INFO, "syscall": INFO, "closed": INFO, "epoch": INFO, "sender": INFO,
    "broken": ERROR, "loss": ERROR, "recovered": WARNING,
}  # fmt: skip
#: Of a decision's own kind; a call is one of something that the host shares, let through.
_DECISIONS: Final[dict[object, int]] = {"alert": ERROR, "call": INFO}
#: What the adapter for `logging` raises: its first argument is a level of that module.
LOGGED: Final = "logging.record"


def severity(entry: Entry) -> int:
    """The severity of `entry`, 0 to 7.

    Refusals and denials are warnings, alerts errors, calls of what is shared infos, a rule that
    kills critical; loss and broken bytes are errors; rights that reach beyond the process are
    notices, other rights infos, events without a right debugging. A message of the application has
    its own level, as it says.

    >>> from belljar.ledger.entries import Entry
    >>> LEVELS[severity(Entry(1, "decision", 0, 0, b"", {"kind": "denial"}))]
    'warning'
    """
    kind, data = entry.kind, entry.data
    if kind == "event":
        return _of_event(data)
    if kind == "decision":
        if data.get("then") == "kill":
            return CRITICAL
        return _DECISIONS.get(data.get("kind"), WARNING)
    if kind == "end":
        return _of_end(data)
    if kind == "bye":
        return ERROR if getattr(data, "drops", 0) else INFO
    return _KINDS.get(kind, NOTICE)


def _of_event(event: Any) -> int:
    if event.name == LOGGED:
        level = event.args[0] if event.args else None
        return of_level(level) if type(level) is int else INFO
    if event.refused:
        return WARNING
    if event.right is None:
        return DEBUG
    return NOTICE if event.right in _GRAVE else INFO


def _of_end(data: Any) -> int:
    lost = any(data.get(name) for name in ("drops", "missed", "unkept", "gaps"))
    if lost:
        return ERROR
    return NOTICE if data.get("status") == 0 else WARNING


def of_level(level: int) -> int:
    """The severity of a level of the module `logging`.

    >>> of_level(40), of_level(25)
    (3, 6)
    """
    for least, number in ((50, CRITICAL), (40, ERROR), (30, WARNING), (20, INFO)):
        if level >= least:
            return number
    return DEBUG


def to_level(number: int) -> int:
    """The level of the module `logging` for a severity."""
    return (50, 50, 50, 40, 30, 20, 20, 10)[number]
