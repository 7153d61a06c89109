"""One decision as the ledger keeps it, whoever decided: `belljar run`, or a rule over a watch."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.model import Decision, Event


#: What the patterns of a rule are called, here and in its row.
MATCH: Final = ("event", "target", "right", "package", "stack", "shadows")


def decision_row(
    event: Event, decision: Decision, right: str, target: str, kind: str, package: str | None = None
) -> dict[str, object]:
    """A decision in exact builtin types, ready for `pack`. `kind` is `denial`, `alert` or
    `call` (of what the host shares, let through).

    >>> from belljar.model import Decision, Event
    >>> event = Event(3, 0, 7, 7, "open", ())
    >>> row = decision_row(event, Decision("deny", "x"), "read", "/a", "denial")
    >>> row["pid"], row["seq"], row["right"]
    (7, 3, 'read')
    """
    frame = event.stack[0] if event.stack else None
    rule = decision.rule
    row: dict[str, object] = {
        "kind": kind,
        "verdict": decision.verdict,
        "right": right,
        "target": utf8(target),
        "asked": utf8(event.asked or ""),
        "event": utf8(event.name),
        "pid": event.pid,
        "seq": event.seq,
        "because": utf8(decision.because),
        "remedy": utf8(decision.remedy),
        "rule": utf8(rule.origin) if rule else "",
        "grant": utf8(decision.grant.origin) if decision.grant else "",
        "at": [utf8(frame.file), frame.line, utf8(frame.function)] if frame else None,
    }
    if rule is not None:
        row |= {"then": rule.then, "id": utf8(rule.id), "text": utf8(rule.text)}
    if package is not None:
        row["package"] = utf8(package)
    return row


def utf8(text: str) -> str:
    """`text` with what is no UTF-8 spelled out: MessagePack has no place for it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
