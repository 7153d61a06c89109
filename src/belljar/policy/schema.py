"""The JSON schema (draft 2020-12) of the policy file, made from the table of keys."""

from __future__ import annotations

from belljar.model import RIGHTS
from belljar.policy.keys import (
    KEYS,
    PROTECTION_SHAPES,
    RULE_AFTER,
    RULE_MATCH,
    RULE_THEN,
    SCHEMA_VERSION,
)
from belljar.policy.units import SIZES, TIMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from belljar.policy.keys import Key


def json_schema() -> dict[str, Any]:
    """The schema as plain data, ready for `json.dumps`."""
    sections: dict[str, Any] = {}
    for key in KEYS:
        table = sections.setdefault(key.section, _table({}))
        table["properties"][key.name] = {"description": key.help, **_of(key)}
    rule = _table(
        {
            "match": {**_table(dict.fromkeys(RULE_MATCH, _GLOBS)), "minProperties": 1},
            "after": {**_table(dict.fromkeys(RULE_AFTER, _GLOBS)), "minProperties": 1},
            "then": {"enum": list(RULE_THEN)},
            "id": {"type": "string", "pattern": "^[a-z0-9-]{1,200}$"},
            "text": {**_TEXT, "maxLength": 200},
        }
    )
    shapes = {"cap": {"type": "number"}, "members": {"type": "array"}, "value": {}}
    protection = {
        "oneOf": [
            {"type": "boolean"},
            *({**_table({n: shapes[n]}), "required": [n]} for n in PROTECTION_SHAPES),
        ]
    }
    whole = _table(
        {
            "schema": {"const": SCHEMA_VERSION},
            **sections,
            "rule": {"type": "array", "items": {**rule, "required": ["match", "then"]}},
            "protections": _map(_map(protection)),
        }
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Belljar policy",
        **whole,
        "required": ["schema"],
    }


_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_GLOBS: dict[str, Any] = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}


def _table(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _map(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _measure(units: dict[str, int], plain: str) -> dict[str, Any]:
    names = "|".join(unit for unit in units if unit)
    number = {"type": plain, "minimum": 0}
    return {"anyOf": [number, {"type": "string", "pattern": f"^[0-9.]+ *({names})?$"}]}


def _of(key: Key) -> dict[str, Any]:
    kind = key.kind
    if kind == "paths":
        return {"anyOf": [_list(_TEXT), _map(_TEXT)]}
    if kind == "choice":
        return {"enum": list(key.choices)}
    if kind == "builtins":
        return {"anyOf": [{"enum": list(key.choices)}, _list(_TEXT)]}
    if kind == "rights":
        return _list({"enum": list(RIGHTS)})
    if kind == "env":
        return _map({"anyOf": [{"type": "string"}, {"const": True}]})
    if kind == "sinks":
        option = {"anyOf": [_TEXT, {"type": "integer"}, _list(_TEXT)]}
        table = {**_map(option), "properties": {"to": _TEXT}, "required": ["to"]}
        return _list({"anyOf": [_TEXT, table]})
    if kind == "bool":
        return {"type": "boolean"}
    if kind == "count":
        return {"type": "integer", "minimum": key.least}
    if kind == "size":
        return _measure(SIZES, "integer")
    if kind == "time":
        return _measure(TIMES, "number")
    return _TEXT if kind in ("stream", "place") else _list(_TEXT)
