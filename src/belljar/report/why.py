"""`belljar why`: one entry of the record, told to the end. All text of the program is escaped."""

from __future__ import annotations

import time

from belljar.events.table import lookup, silences
from belljar.events.targets import Cut, TypeName
from belljar.model import Event
from belljar.policy.secret import holds_secrets
from belljar.report.text import paint, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.events.table import Entry as Row
    from belljar.ledger.entries import Entry
    from belljar.model import Frame, Grant, Rule
    from belljar.watch.explain import Explained

#: Right -> rows of the receipt that stand behind it.
WALLS: Final = {
    "read": ("files", "names"), "list": ("files", "names"), "write": ("files",),
    "append": ("files",), "execute": ("files", "processes"), "connect": ("network",),
    "bind": ("network",), "resolve": ("network",), "run": ("processes",),
    "import": ("extensions",), "native": ("extensions",), "process": ("processes",),
    "signal": ("processes",), "netinfo": ("network",), "fsinfo": ("names",),
}  # fmt: skip
_MOST_GRANTS: Final = 12
_MOST_VALUE: Final = 200
_WIDTH: Final = 10


def lines(found: Explained, colour: bool = False) -> list[str]:
    """The explanation, a line each."""
    out = [_head(found, colour), *_run_lines(found)]
    event = found.event.data if found.event is not None else found.entry.data
    out += _who(found)
    if isinstance(event, Event):
        out += _event(event, found)
    elif found.row is not None:
        out += _two("event", f"{_text(found.row.get('event'))}; its entry is not in the record")
    if found.row is not None:
        out += _decision(found)
    elif isinstance(event, Event):
        out += _facts(event)
    else:
        out += _fields(found.entry)
    out += _neighbours(found)
    return out


def _head(found: Explained, colour: bool) -> str:
    entry, row = found.entry, found.row
    if row is None:
        return f"#{entry.number}: {printable(entry.kind)}"
    kind = _text(row.get("kind")) or "denial"
    if kind == "call":
        return f"#{entry.number}: called {_text(row.get('target'))}"
    word = "denied" if kind == "denial" else kind
    what = f"{word}[{_text(row.get('right')) or _text(row.get('event'))}]:"
    return f"#{entry.number}: {paint(what, 'red', colour)} {_text(row.get('target'))}".rstrip()


def _run_lines(found: Explained) -> list[str]:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.entry.recorded // 10**9))
    if found.run is None:
        return _two("record", f"run {found.run_id.hex()[:8]}, whose start is not here; {when}")
    data = found.run.data
    words = data.get("program") or data.get("argv") or []
    program = " ".join(str(w) for w in words if isinstance(w, str)) if type(words) is list else ""
    return _two("record", f"{when}, run {found.run_id.hex()[:8]}: {printable(program, 120)}")


def _who(found: Explained) -> list[str]:
    if found.hello is None:
        pid = found.entry.pid or (found.row or {}).get("pid")
        return _two("process", f"{pid}, which sent no greeting") if pid else []
    hello = found.hello.data
    argv = " ".join(hello.argv)
    out = _two("process", f"{found.hello.pid}, Python {printable(hello.python, 40)}")
    return out + _two("", printable(argv, _MOST_VALUE)) if argv else out


def _event(event: Event, found: Explained) -> list[str]:
    out: list[str] = []
    frames = event.frames or event.stack
    for index, frame in enumerate(frames):
        out += _two("at" if not index else "", _frame(frame))
    if not frames:
        out += _two("at", "outside any Python frame")
    number = f" (#{found.event.number})" if found.event is not None and found.row else ""
    out += _two("event", f"{printable(event.name, 100)}{number}")
    row = lookup(event.name)
    names = [a.name for a in row.arguments()] if row else []
    for index, value in enumerate(event.args):
        name = names[index] if index < len(names) else f"argument {index}"
        out += _two("", f"{name} = {_value(value)}")
    if event.asked is not None:
        out += _two("asked as", printable(event.asked, _MOST_VALUE))
    for right, target in found.needs:
        on = f" on {printable(target, _MOST_VALUE)}" if target is not None else ""
        out += _two("needs", f"{right}{on or ', on what the event does not tell'}")
    if event.cwd:
        out += _two("", f"relative to {printable(event.cwd, _MOST_VALUE)}")
    if event.package:
        out += _two("package", printable(event.package, 100))
    return out


def _decision(found: Explained) -> list[str]:
    assert found.row is not None
    row = found.row
    host = _on_host(found, _text(row.get("target")))
    out = _two("on host", host)
    out += _two("because", _text(row.get("because")))
    if row.get("package"):
        out += _two("package", _text(row["package"]))
    out += _rule(found)
    out += _considered(found)
    out += _enforced(found)
    remedy = _text(row.get("remedy"))
    if remedy:
        out += _two("allow", remedy)
        out += _two("", _in_policy(row))
        secret = holds_secrets(str(row.get("target")))
        out += _two("", f"careful: {printable(secret)}" if secret else "")
    elif row.get("kind", "denial") == "denial":
        out += _two("allow", "no grant can" if row.get("rule") else "no flag of this version")
    return [line for line in out if line]


def _on_host(found: Explained, target: str) -> str:
    """What the host calls a path that the guest knows by another name."""
    pairs = found.run.data.get("mapped") if found.run is not None else None
    for pair in pairs if type(pairs) is list else ():
        if type(pair) is not list or [type(name) for name in pair] != [str, str]:
            continue
        if target == pair[0] or target.startswith(f"{pair[0]}/"):
            return printable(pair[1] + target[len(pair[0]) :], _MOST_VALUE)
    return ""


def _rule(found: Explained) -> list[str]:
    assert found.row is not None
    row, rule = found.row, found.rule
    if not row.get("rule"):
        return []
    name = row.get("id") or (rule.id if rule else "")
    text = row.get("text") or (rule.text if rule else "")
    then = row.get("then") or (rule.then if rule else "")
    out = _two("rule", f"{_text(row['rule'])}{f': {_text(name)}' if name else ''}")
    if text:
        out += _two("", _text(text))
    if rule is not None:
        out += _two("", f"matches {_patterns(rule)}")
        if rule.after is not None:
            out += _two("", f"after {_patterns(rule.after)}")
    return out + (_two("", f"then {_text(then)}") if then else [])


def _patterns(rule: Rule) -> str:
    parts = []
    for name in ("event", "target", "right", "package", "stack", "shadows"):
        value = getattr(rule, name)
        if value not in ("", "*"):
            some = (value,) if isinstance(value, str) else value
            parts.append(f"{name} {' or '.join(printable(one, 80) for one in some)}")
    return printable(", ".join(parts) or "every event", 400)


def _considered(found: Explained) -> list[str]:
    if not found.has_policy:
        if found.run is not None and found.run.kind != "watch":
            return _two("considered", "unknown: this record keeps no policy with the run")
        return []
    shown = found.considered[:_MOST_GRANTS]
    out: list[str] = []
    for grant, why in shown:
        out += _two("" if out else "considered", f"{_grant(grant)}: {why}")
    if len(found.considered) > len(shown):
        out += _two("", f"and {len(found.considered) - len(shown)} more that do not cover it")
    rest = found.grants - len(found.considered)
    what = "other grants, of the runtime or of other rights, do not bear on it"
    out += _two("" if out else "considered", f"{rest} {what}")
    for name, value, origin in found.settings:
        out += _two("", f"{name} = {printable(value, 80)} ({printable(origin, 80)})")
    return out


def _enforced(found: Explained) -> list[str]:
    assert found.row is not None
    event = found.event.data if found.event is not None else None
    out: list[str] = []
    if found.row.get("kind") == "call":
        return _two("enforced", "nothing was refused: the host shares it and made the call")
    if found.row.get("kind", "denial") != "denial":
        return _two("enforced", "nothing was refused: an alert only tells")
    if isinstance(event, Event) and event.refused:
        out += _two("enforced", "window: the hook inside raised before the operation was tried")
    elif isinstance(event, Event) and event.name == "belljar.denied":
        out += _two("enforced", "window: the import guard inside refused the module")
    for name, level, by, reason in _receipt(found):
        why = f" ({reason})" if reason and level != "full" else ""
        out += _two("" if out else "enforced", printable(f"{name} {level}: {by}{why}", 300))
    if found.run is not None and found.run.kind == "watch":
        out += _two("" if out else "enforced", "window: inside the watched process, no wall")
    return out


def _receipt(found: Explained) -> list[tuple[str, str, str, str]]:
    rows = found.run.data.get("status") if found.run is not None else None
    wanted = WALLS.get(str((found.row or {}).get("right")), ())
    if type(rows) is not list:
        return []
    whole = [r for r in rows if type(r) is list and len(r) == 4 and r[0] in wanted]
    return [(str(r[0]), str(r[1]), str(r[2]), str(r[3])) for r in whole]


def _in_policy(row: dict[str, Any]) -> str:
    """The same grant as a policy file has it."""
    from belljar.policy.keys import BY_NAME

    flag, _, argument = str(row.get("remedy")).partition(" ")
    key = BY_NAME.get(flag.removeprefix("--"))
    if key is None or not argument or argument.startswith("'"):
        return ""
    value = argument if key.kind == "count" else f'["{argument}"]'
    return printable(f"or in a policy file: [{key.section}] {key.name} = {value}", 400)


def _facts(event: Event) -> list[str]:
    row: Row | None = lookup(event.name)
    if row is None:
        return _two("catalogue", "not an event of CPython's: a library or the program raised it")
    out = _two("catalogue", f"{row.category}; needs {row.right or 'no right'}"
               f"{f' on {row.target}' if row.target else ''}")  # fmt: skip
    if row.note:
        out += _two("", row.note)
    for lie in row.lies:
        out += _two("lies", lie)
    for other in row.doubles:
        out += _two("also", f"the same operation may raise {other}")
    named = {silence.name: silence for silence in silences()}
    for name in row.silences[:4]:
        out += _two("silent", f"{named[name].operation}: {named[name].matters}")
    return out


def _fields(entry: Entry) -> list[str]:
    if entry.kind == "broken":
        return _two("reason", printable(entry.reason))
    data = entry.plain().get("data")
    out: list[str] = []
    for name, value in (data or {}).items() if isinstance(data, dict) else ():
        if name in ("policy", "effective", "status", "mapped") and isinstance(value, (list, dict)):
            text = f"{len(value)} rows; see belljar log show {entry.number}"
        else:
            text = str(value)
        out += _two(printable(name, 30), printable(text, _MOST_VALUE))
    return out


def _neighbours(found: Explained) -> list[str]:
    out: list[str] = []
    for label, some in (("before", found.before), ("after", found.after)):
        for index, one in enumerate(some):
            event = one.data
            text = f"#{one.number} {event.name}"
            if event.right:
                text += f" {event.right} {event.target or event.asked or ''}"
            out += _two("" if index else label, printable(text.strip(), _MOST_VALUE))
    return out


def as_json(found: Explained) -> dict[str, Any]:
    """The explanation as JSON values, stable keys, untrusted text as it is."""
    from belljar.ledger.entries import plain

    row = None if found.row is None else plain(found.row)
    fields: dict[str, Any] = {
        "entry": found.entry.plain(),
        "run": found.run_id.hex(),
        "start": None if found.run is None else found.run.number,
        "decision": row,
        "event": None if found.event is None else found.event.plain(),
        "process": None if found.hello is None else found.hello.plain(),
        "needs": plain(found.needs),
        "considered": [
            {"right": g.right, "target": g.target, "origin": g.origin, "why": why}
            for g, why in found.considered
        ],
        "settings": plain(found.settings),
        "rule": plain(found.rule),
        "receipt": plain(_receipt(found)),
        "before": [one.plain() for one in found.before],
        "after": [one.plain() for one in found.after],
    }
    event = found.event.data if found.event is not None else found.entry.data
    known = lookup(event.name) if isinstance(event, Event) else None
    if known is not None:
        fields["catalogue"] = plain(known)
    return fields


def _value(value: object) -> str:
    """An argument as it was recorded, which is not always the whole of it."""
    if type(value) is TypeName:
        return f"an object of type {printable(value.name, 80)}"
    if type(value) is Cut:
        return f"{printable(repr(value.text), _MOST_VALUE)}, the first of {value.length}"
    return printable(repr(value), _MOST_VALUE)


def _grant(grant: Grant) -> str:
    where = printable(grant.origin, 120)
    if grant.origin.startswith("--"):
        return f"{where} {printable(grant.target, _MOST_VALUE)}"
    return f'{where} {grant.right} = "{printable(grant.target, _MOST_VALUE)}"'


def _frame(frame: Frame) -> str:
    place = f"{printable(frame.file, 120)}:{frame.line} in {printable(frame.function, 60)}"
    values = ", ".join(f"{printable(n, 40)}={printable(repr(v), 60)}" for n, v in frame.values)
    return f"{place}  {values}".rstrip()


def _text(value: object) -> str:
    return printable(value, _MOST_VALUE) if isinstance(value, str) else ""


def _two(label: str, text: str) -> list[str]:
    return [f"  {label:<{_WIDTH}} {text}".rstrip()] if text else []
