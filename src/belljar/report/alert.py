"""The text of an alert: a rule that fired, over a watched program.

    alert[shell-from-python]: python job.py (process 71) wants to run /bin/sh
      at      job.py:14 in load                 package requests 2.31.0
      because a shell was started: what it runs, no audit event tells
      rule    shell-from-python                 record #412

All of it but our own words comes from the program: escaped, and cut where it is long.
"""

from __future__ import annotations

from belljar.policy.untold import unclear
from belljar.policy.wording import words_for
from belljar.report.denial import KILLED, WINDOW, two, where
from belljar.report.text import paint, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.watch.arbiter import Alert

_COLOUR: Final = {"alert": "yellow", "deny": "red", "kill": "red"}
_HEAD: Final = {"alert": "alert", "deny": "denied", "kill": "killed"}


def render(alert: Alert, colour: bool = False) -> str:
    """The alert: lines without a final newline."""
    event = alert.event
    lines = [headline(alert, colour)]
    asked = ""
    if event.asked and event.target and event.asked != event.target:
        asked = f"asked as {printable(event.asked, 120)}"
    caused = printable(alert.package, 80)
    if caused[-1:].isdigit():  # a name and a version
        caused = f"package {caused}"
    lines.append(two("at", where(event), caused or asked))
    if caused and asked:
        lines.append(two("", asked, ""))
    if alert.rule.text:
        lines.append(two("because", printable(alert.rule.text, 200), ""))
    if alert.refused:
        if lost := unclear(event, alert.rule):
            lines.append(two("" if alert.rule.text else "because", lost, ""))
        lines.append(two("how", KILLED if alert.rule.then == "kill" else WINDOW, ""))
    record = f"record #{alert.number}" if alert.number else "not recorded"
    lines.append(two("rule", _rule(alert), record))
    return "\n".join(lines)


def headline(alert: Alert, colour: bool = False) -> str:
    """The alert in one line, for a list or a view that is updated."""
    event, then = alert.event, alert.rule.then
    head = _HEAD.get(then, "alert") if alert.refused else "alert"
    name = printable(alert.rule.id or event.name, 60)
    who = printable(alert.program, 60) or "the program"
    verb = words_for(event.right or "")
    target = event.target or event.asked or ""
    what = f"wants to {verb} {printable(target, 120)}" if verb and target else ""
    what = what or f"raised {printable(event.name, 60)} {printable(target, 120)}".rstrip()
    shown = paint(f"{head}[{name}]:", _COLOUR[then] if alert.refused else "yellow", colour)
    return f"{shown} {who} (process {event.pid}) {what}"


def as_json(alert: Alert) -> dict[str, Any]:
    """The alert as plain data, stable keys."""
    event = alert.event
    frame = event.stack[0] if event.stack else None
    return {
        "rule": alert.rule.id or None,
        "origin": alert.rule.origin,
        "then": alert.rule.then,
        "refused": alert.refused,
        "text": alert.rule.text or None,
        "event": event.name,
        "right": event.right,
        "target": event.target,
        "asked": event.asked,
        "pid": event.pid,
        "seq": event.seq,
        "program": alert.program,
        "package": alert.package,
        "record": alert.number,
        "at": {"file": frame.file, "line": frame.line, "function": frame.function}
        if frame
        else None,
    }


def _rule(alert: Alert) -> str:
    rule = alert.rule
    origin = printable(rule.origin, 120)
    if not rule.id or rule.origin.startswith("shipped/"):
        return printable(rule.id, 200) or origin
    return f"{printable(rule.id, 200)} at {origin}"
