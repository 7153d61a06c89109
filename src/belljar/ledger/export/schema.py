"""The JSON schema of our own form: the lines of `log export --format jsonl` and `log tail --json`.

Published as `docs/schema/ledger-entry-1.json`. While the version is 1, keys may be added; none is
removed or changes its meaning. Who reads it must pass over keys and kinds that it does not know.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    Map = dict[str, Any]

NAME: Final = "belljar.ledger.entry"
VERSION: Final = 1
_U64: Final = {"type": "integer", "minimum": 0, "maximum": (1 << 64) - 1}
_U32: Final = {"type": "integer", "minimum": 0, "maximum": (1 << 32) - 1}
_INT: Final = {"type": "integer"}
_BOOL: Final = {"type": "boolean"}
_TEXT: Final = {"type": "string"}
_MAYBE: Final = {"type": ["string", "null"]}
_HEX: Final = {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
_FRAMES: Final = {"type": "array", "items": {"$ref": "#/$defs/frame"}}
_RIGHTS: Final = (
    "read, write, append, list, execute, connect, bind, resolve, run, import, native, env, netinfo,"
    " fsinfo, code, signal or process"
)

_HEADER: Final[Map] = {
    "kind": _INT, "flags": _INT, "pid": _U32, "thread": _U32, "seq": _U64, "time": _U64,
    "version": _INT,
}  # fmt: skip
_EVENT: Final[Map] = {
    "seq": _U64, "time": _U64, "pid": _U32, "thread": _U32,
    "name": _TEXT, "args": {"type": "array"},
    "right": _MAYBE | {"description": f"{_RIGHTS}; null: none is needed"},
    "target": _MAYBE, "asked": _MAYBE, "stack": _FRAMES, "cwd": _MAYBE, "refused": _BOOL,
    "frames": _FRAMES, "package": _MAYBE,
}  # fmt: skip
_HELLO: Final[Map] = {
    "header": {"$ref": "#/$defs/header"}, "python": _TEXT, "ppid": _U64,
    "argv": {"type": "array", "items": _TEXT}, "cwd": _MAYBE, "drops": _U64, "forked": _BOOL,
    "executable": _MAYBE, "uid": {"type": "integer", "minimum": -1}, "start": _U64,
}  # fmt: skip
_SYSCALL: Final[Map] = {
    "name": _TEXT, "kind": _TEXT, "pid": _U32, "thread": _U32, "seq": _U64, "time": _U64,
    "start": _U64, "ppid": _U64, "number": _U64, "target": _TEXT, "asked": _TEXT,
    "other": _TEXT, "asked_other": _TEXT, "cut": _BOOL,
}  # fmt: skip
#: What a map that Belljar wrote says; other writers may say more, less or something else.
_DECISION: Final[Map] = {
    "kind": "denial, alert, or call of what the host shares",
    "verdict": "deny, allow or none",
    "right": _RIGHTS,
    "target": "what it was about, resolved",
    "asked": "the same, as the program wrote it",
    "event": "the audit event",
    "pid": "the process",
    "seq": "the event's number in that process",
    "because": "a clause for a person",
    "remedy": "the narrowest flag that would allow it",
    "rule": "where the rule that fired was written",
    "grant": "where the grant that decided, or was nearest, was written",
    "at": "[file, line, function] that is answerable",
    "then": "what the rule orders",
    "id": "the rule's name",
    "text": "what it means when the rule fires",
    "package": "the distribution that caused it",
}
_START: Final[Map] = {
    "kind": "run, of belljar run",
    "mode": "watch, of belljar watch",
    "guest": "what denials call the program",
    "program": "[script, module or code; which], of belljar run",
    "argv": "the program's arguments; of belljar watch the whole command line",
    "cwd": "where it was started",
    "policy": "[key, value, where it was written], of belljar run",
    "policy-name": "the files that the policy was written in, or flags, or default",
    "policy-digest": "digest of the policy",
    "belljar": "Belljar's version",
    "python": "the interpreter's version",
    "uid": "the user",
    "pid": "Belljar's own process",
}
_END: Final[Map] = {
    "ended-by": "exit, signal, wall ...",
    "status": "the exit status",
    "signal": "the signal that ended it, or 0",
    "wall": "seconds that it took",
    "events": "events that came",
    "ends": "watched processes that a signal or a status other than 0 ended, and by whom",
    "denials": "how many",
    "alerts": "how many",
}


def schema() -> Map:
    """The schema (JSON Schema 2020-12) of one line.

    >>> schema()["$id"]
    'urn:belljar:schema:ledger-entry:1'
    """
    kinds: list[tuple[str, Map]] = [
        ("event", _object(_EVENT)),
        ("hello", _object(_HELLO)),
        ("bye", _object({"header": {"$ref": "#/$defs/header"}, "drops": _U64})),
        ("loss", _object({"header": {"$ref": "#/$defs/header"}, "count": _U64})),
        ("syscall", _object(_SYSCALL)),
        ("decision", _described(_DECISION)),
        ("start", _described(_START)),
        ("end", _described(_END)),
    ]
    kinds += [
        (name, {"type": "object"})
        for name in ("recovered", "closed", "pruned", "epoch", "sender")
    ]  # fmt: skip
    sent = {"pid": _U32, "thread": _U32, "seq": _U64}
    of_kind = [
        {
            "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
            "then": {"properties": {"data": data}, "required": ["data"]},
        }
        for name, data in kinds
    ]
    broken = {
        "if": {"properties": {"kind": {"const": "broken"}}, "required": ["kind"]},
        "then": {"properties": {"reason": _TEXT, "bytes": _HEX}, "required": ["reason", "bytes"]},
    }
    entry = {
        "type": "object",
        "properties": {
            "entry": {"type": "integer", "minimum": 1, "description": "the number: #412"},
            "kind": _TEXT,
            "time": _U64 | {"description": "ns since 1970; the guest's clock for what it sent"},
            "recorded": _U64 | {"description": "ns since 1970, by the host's clock"},
            "run": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            **sent,
        },
        "required": ["entry", "kind", "time", "recorded", "run"],
        "dependentRequired": {name: sorted(sent) for name in sent},
        "allOf": [*of_kind, broken],
    }
    first = {
        "type": "object",
        "properties": {
            "kind": {"const": "schema"},
            "schema": {"const": NAME},
            "version": {"const": VERSION},
        },
        "required": ["kind", "schema", "version"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:belljar:schema:ledger-entry:{VERSION}",
        "title": "One line of a Belljar ledger as JSON",
        "description": "The first line of an export names this schema; each other one is an entry."
        " Bytes are {'bytes': hexadecimal}; text that is no UTF-8 is spelled out (\\udcff).",
        "if": {"properties": {"kind": {"const": "schema"}}, "required": ["kind"]},
        "then": first,
        "else": entry,
        "$defs": {
            "header": _object(_HEADER),
            "frame": _object({"file": _TEXT, "line": _INT, "function": _TEXT, "values": True}),
        },
    }


def _object(properties: Map) -> Map:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _described(properties: dict[str, str]) -> Map:
    return {
        "type": "object",
        "properties": {name: {"description": text} for name, text in properties.items()},
    }
