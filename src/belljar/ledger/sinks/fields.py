"""An entry as named fields of plain text and numbers, the same names for every sink.

The names are in `docs/sinks.md`; they do not change within a version. Values are as the guest
said them: each sink escapes them in its own way.
"""

from __future__ import annotations

from belljar.ledger.entries import Entry, plain
from belljar.ledger.sinks.severity import LEVELS, severity
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

#: The longest text that is handed to a sink; of what is longer, its beginning and its length.
LONGEST: Final = 1 << 18
#: Digits of bytes that are no entry: a record of many may give the same ones for each.
_MOST_BROKEN: Final = 8192
#: Keys of a START, END or other map that have a name of their own below.
_MAPS: Final = {
    "ended-by": "ended", "status": "status", "signal": "signal", "events": "events",
    "drops": "drops", "missed": "missed", "unkept": "unkept", "denials": "denials",
    "alerts": "alerts", "tier": "tier", "kind": "mode", "mode": "mode", "uid": "uid",
    "file": "file", "length": "length", "epoch": "epoch", "why": "why", "lost": "lost",
}  # fmt: skip


class Item(Value):
    """One entry, ready for a sink: `fields` in order of weight, texts as the guest said them.

    `name` is the event's or the entry's kind, `message` one line for a person, `level` the
    severity. `cut` names fields of which only the first `LONGEST` characters are there, and how
    many there were. `trace` and `span` are hexadecimal, or empty.
    """

    entry: Entry
    level: int
    name: str
    message: str
    fields: tuple[tuple[str, str | int], ...]
    trace: str = ""
    span: str = ""
    cut: tuple[tuple[str, int], ...] = ()

    @property
    def severity(self) -> str:
        """The severity's word."""
        return LEVELS[self.level]


def item(entry: Entry, ledger: str, trace: str = "", span: str = "") -> Item:
    """`entry` of the ledger whose id is `ledger`; never raises for what it holds.

    >>> from belljar.ledger.entries import Entry
    >>> found = item(Entry(7, "end", 0, 0, bytes(16), {"status": 3}), "ab")
    >>> found.name, found.message, found.severity, dict(found.fields)["status"]
    ('end', 'end: status 3', 'warning', 3)
    """
    fields: dict[str, Any] = {"entry": entry.number, "ledger": ledger, "kind": entry.kind}
    fields["time"] = entry.time
    if any(entry.run):
        fields["run"] = entry.run.hex()
    if entry.pid:
        fields |= {"pid": entry.pid, "thread": entry.thread, "seq": entry.seq}
    name = entry.kind
    if entry.kind == "event":
        name = entry.data.name
        _event(entry.data, fields)
    elif entry.kind == "decision":
        name = text(entry.data.get("event")) or "decision"
        _decision(entry.data, fields)
    elif entry.kind == "broken":
        fields |= {"reason": entry.reason, "bytes": entry.raw[: _MOST_BROKEN // 2].hex()}
    else:
        _other(entry, fields)
    if trace:
        fields |= {"trace": trace, "span": span}
    shown = tuple(
        (key, value if type(value) is int else str(value)[:LONGEST])
        for key, value in fields.items()
        if value not in (None, "", ())
    )
    cut = tuple(
        (key, len(value))
        for key, value in fields.items()
        if type(value) is str and len(value) > LONGEST
    )
    if len(entry.raw) > _MOST_BROKEN // 2:
        cut = (("bytes", 2 * len(entry.raw)),)
    line = _message(entry, name, fields)[:LONGEST]
    return Item(entry, severity(entry), name, line, shown, trace, span, cut)


def _event(event: Any, fields: dict[str, Any]) -> None:
    fields |= {"event": event.name, "right": event.right, "target": event.target}
    if event.asked != event.target:
        fields["asked"] = event.asked
    if event.refused:
        fields["refused"] = 1
    for frame in event.stack[:1]:
        fields |= {"file": frame.file, "line": frame.line, "function": frame.function}
    if event.args:
        fields["args"] = compact(event.args)
    fields["cwd"] = event.cwd


def _decision(data: dict[str, Any], fields: dict[str, Any]) -> None:
    fields["decision"] = text(data.get("kind"))
    for key in ("verdict", "right", "target", "asked", "event", "rule", "id", "then", "package"):
        fields[key] = text(data.get(key))
    for key in ("pid", "seq"):
        if type(data.get(key)) is int:
            fields[key] = data[key]
    at = data.get("at")
    if isinstance(at, list) and len(at) == 3 and type(at[1]) is int:
        fields |= {"file": text(at[0]), "line": at[1], "function": text(at[2])}
    fields["because"] = text(data.get("because"))


def _other(entry: Entry, fields: dict[str, Any]) -> None:
    data = entry.data
    if not isinstance(data, dict):
        whole = plain(data)
        data = whole if isinstance(whole, dict) else {}
    for key, name in _MAPS.items():
        value = data.get(key)
        if type(value) is int:
            fields[name] = value
        elif type(value) is str:
            fields.setdefault(name, value)
    for key in ("argv", "program", "python", "name", "target", "right", "key", "ppid"):
        value = data.get(key)
        if value is not None:
            fields[key] = value if type(value) in (str, int) else compact(value)


def _message(entry: Entry, name: str, fields: dict[str, Any]) -> str:
    """One line for a person; it still has to be escaped."""

    def get(key: str) -> str:
        return str(fields.get(key) or "")[:LONGEST]

    if entry.kind == "event":
        what = f"{get('right')} {get('target') or get('asked')}" if get("right") else get("args")
        return f"{name}{' refused' if fields.get('refused') else ''}: {what.strip()}".rstrip(": ")
    if entry.kind == "decision":
        if get("decision") == "call":
            return f"called: {get('target')}"
        verb = {"denial": "denied", "alert": "alert"}.get(get("decision"), "decision")
        why = f": {get('because')}" if get("because") else ""
        return f"{verb}[{get('id') or get('right')}]: {name} {get('target')}{why}"
    if entry.kind == "broken":
        return f"broken: {get('reason')}"
    if entry.kind == "end":
        return f"end: status {fields.get('status', '?')} {get('ended')}".rstrip()
    if entry.kind in ("start", "hello"):
        return f"{entry.kind}: {get('program')} {get('argv')}"
    told = [f"{key} {fields[key]}" for key in _MAPS.values() if key in fields]
    return f"{name}: {', '.join(dict.fromkeys(told))}"[:LONGEST].rstrip(": ")


def text(value: object) -> str:
    """`value` as text: what is none is given as JSON."""
    if value is None:
        return ""
    return value if type(value) is str else compact(value)


def compact(value: object) -> str:
    """`value` as one line of ASCII JSON.

    >>> compact(("a\\n", 1, b"\\xff"))
    '["a\\\\n",1,{"bytes":"ff"}]'
    """
    import json

    return json.dumps(plain(value), separators=(",", ":")).replace("\x7f", "\\u007f")
