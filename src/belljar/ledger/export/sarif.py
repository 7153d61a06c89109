"""Denials and alerts as SARIF 2.1.0 (OASIS), for code hosts and editors.

One result for each decision, at the frame of Python that is answerable for it. A rule of the
policy is a SARIF rule by its id, or by where it was written; a denial without one has the rule
`denied/<right>`. The log is made in parts, the rules last, so that memory stays bounded.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from belljar import __version__
from belljar.ledger.entries import plain
from belljar.ledger.query.rows import sound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final

    from belljar.ledger.entries import Entry

    Map = dict[str, Any]

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_MOST_RULES: Final = 10_000
_LONG: Final = 2_000
_MOST: Final = (1 << 31) - 1
_RIGHTS: Final = "abcdefghijklmnopqrstuvwxyz"


def sarif(decisions: Iterable[Entry]) -> Iterator[str]:
    """The parts of one SARIF log; joined they are one JSON document, plain ASCII.

    Entries that are no decisions, and calls that were let through, are passed over, but for those
    that do not decode: each is a result of the rule `belljar/broken`.
    """
    rules: dict[str, tuple[int, Map]] = {}
    yield f'{{"$schema":"{SCHEMA}","version":"2.1.0","runs":[{{"columnKind":"unicodeCodePoints"'
    yield ',"results":['
    comma = ""
    for entry in decisions:
        if entry.kind not in ("decision", "broken") or _is_call(entry):
            continue
        yield comma + "\n" + _json(_result(entry, rules))
        comma = ","
    driver = {
        "name": "Belljar",
        "semanticVersion": __version__,
        "rules": [rule for _, rule in rules.values()],
    }
    yield '\n],"tool":{"driver":' + _json(driver) + "}}]}\n"


def _is_call(entry: Entry) -> bool:
    """Of what the host shares: no finding."""
    return isinstance(entry.data, dict) and entry.data.get("kind") == "call"


def _result(entry: Entry, rules: dict[str, tuple[int, Map]]) -> Map:
    data: Map = plain(entry.data) if isinstance(entry.data, dict) else {}

    def word(key: str) -> str:
        value = data.get(key)
        return value[:_LONG] if isinstance(value, str) else ""

    name, rule = _rule(entry, word("id"), word("rule"), word("right"), word("text"))
    if name not in rules and len(rules) < _MOST_RULES:
        rules[name] = (len(rules), rule)
    if entry.kind == "broken":
        text, level = f"entry #{entry.number} does not decode: {entry.reason}", "warning"
    else:
        denied = word("verdict") == "deny"
        level = "error" if denied or word("kind") == "alert" else "note"
        what = f"{word('right')} {word('target')}".strip() or word("event") or "a decision"
        text = f"{'denied' if denied else word('kind') or 'decision'}: {what}"
        text += f" ({word('because')})" if word("because") else ""
    found: Map = {
        "ruleId": name,
        "level": level,
        "message": {"text": text[:_LONG]},
        "properties": {"belljar": entry.plain()},
    }
    if name in rules:
        found["ruleIndex"] = rules[name][0]
    where = _location(data.get("at"))
    return found | ({"locations": [where]} if where else {})


def _rule(entry: Entry, name: str, origin: str, right: str, text: str) -> tuple[str, Map]:
    """The id and the rule itself."""
    if entry.kind == "broken":
        name, text = "belljar/broken", "An entry of the ledger does not decode."
    elif not name and origin:
        name, text = f"rule/{origin}", text or f"The rule written at {origin}."
    elif not name:
        known = right if right and all(letter in _RIGHTS for letter in right) else "other"
        name, text = f"denied/{known}", f"The policy does not grant this: {known}."
    return name, {"id": name, "shortDescription": {"text": text or name}}


def _location(at: object) -> Map | None:
    """The frame `[file, line, function]`, if that is what it is."""
    if not isinstance(at, list) or len(at) != 3 or not isinstance(at[0], str) or not at[0]:
        return None
    file, line, function = at
    raw = sound(file[:_LONG])
    uri = quote(raw.encode("utf-8"), safe="/")
    place: Map = {"artifactLocation": {"uri": f"file://{uri}" if raw.startswith("/") else uri}}
    if type(line) is int and 0 < line <= _MOST:
        place["region"] = {"startLine": line}
    found: Map = {"physicalLocation": place}
    if isinstance(function, str) and function:
        found["logicalLocations"] = [{"name": function[:_LONG], "kind": "function"}]
    return found


def _json(value: Map) -> str:
    return json.dumps(sound(value), separators=(",", ":")).replace("\x7f", "\\u007f")
