"""The text of a denial, as DESIGN.md words it."""

from __future__ import annotations

from belljar.model import Decision, Event, Grant, Rule, Status
from belljar.policy.wording import words_for
from belljar.report.text import paint, printable


def render(
    guest: str,
    event: Event,
    decision: Decision,
    right: str,
    target: str,
    number: int | None,
    status: Status,
    colour: bool = False,
) -> str:
    """The denial of `right` on `target` (both as decided): lines without a final newline."""
    what = f"{words_for(right, right)} {printable(target or event.asked or '')}".rstrip()
    if not right:  # an application's own event, which a rule forbids
        what = f"raise {printable(event.name, 60)} {printable(target)}".rstrip()
    head = paint(f"denied[{right or printable(event.name, 60)}]:", "red", colour)
    lines = [f'{head} guest "{printable(guest, 60)}" may not {what}']
    asked = ""
    if event.asked and event.asked != target and event.target == target:
        asked = f"asked as {printable(event.asked)}"
    lines.append(two("at", where(event), asked))
    near = ""
    if decision.grant is not None and _is_near(decision.grant, target):
        near = f"nearest: {_place(decision.grant)}"
    if decision.rule is not None:
        near = f"rule: {printable(decision.rule.origin)}"
    lines.append(two("because", printable(decision.because), near))
    entry = f"record #{number}" if number else "not recorded"
    if decision.rule is not None and decision.rule.then in ("deny", "kill"):
        lines.append(two("how", KILLED if decision.rule.then == "kill" else WINDOW, ""))
    lines.append(two("allow", printable(decision.remedy) or "no grant can", entry))
    weak = [
        f"{r.name} {r.level}"
        for r in status.protections
        if r.name in _WALLS.get(right, ()) and r.level != "full"
    ]
    if weak:
        lines.append(two("walls", ", ".join(weak), ""))
    return "\n".join(lines)


_WALLS = {
    "read": ("files",), "list": ("files",), "write": ("files",),
    "connect": ("network",), "bind": ("network",), "run": ("processes",),
    "import": ("extensions",), "native": ("extensions",),
}  # fmt: skip


#: Said of every refusal inside the process, wherever it is shown.
WINDOW = "refused in the process itself: a window, not a wall"
KILLED = "the process was told to end itself before it: a window, not a wall"


def where(event: Event) -> str:
    """The place in the program's source that answers for `event`, escaped."""
    if not event.stack:
        return "outside any Python frame"
    frame = event.stack[0]
    return f"{printable(frame.file, 120)}:{frame.line} in {printable(frame.function, 60)}"


def _is_near(grant: Grant, target: str) -> bool:
    """Worth telling: written by someone, and with more in common than the root."""
    if grant.origin == "runtime":
        return False
    return not target.startswith("/") or grant.target.split("/")[1:2] == target.split("/")[1:2] != [
        ""
    ]


def _place(grant: Grant) -> str:
    if grant.origin.startswith("--"):
        return f"{printable(grant.origin)} {printable(grant.target)}"
    return f'{printable(grant.origin)} {grant.right} = "{printable(grant.target)}"'


def two(label: str, left: str, right: str) -> str:
    """A line of two columns beneath a label."""
    text = f"  {label:<8}{left}"
    return f"{text:<42}  {right}".rstrip() if right else text


def render_alert(
    guest: str,
    event: Event,
    decision: Decision,
    right: str,
    target: str,
    number: int | None,
    status: Status,
    colour: bool = False,
) -> str:
    """An alert of a `[[rule]]`, in the form of a denial. Nothing was refused: no `status`."""
    del status
    head = paint(f"alert[{printable(event.name, 60)}]:", "yellow", colour)
    what = f" {printable(target)}" if target else ""
    lines = [f'{head} guest "{printable(guest, 60)}"{what}']
    if event.stack:
        lines.append(two("at", where(event), ""))
    rule = decision.rule or Rule()
    if rule.text:
        lines.append(two("because", printable(rule.text, 200), ""))
    which = (
        f"{printable(rule.id)} at {printable(rule.origin)}" if rule.id else printable(rule.origin)
    )
    entry = f"record #{number}" if number else "not recorded"
    lines.append(
        two("rule" if rule.text else "because", which if rule.text else f"rule {which}", entry)
    )
    return "\n".join(lines)
