"""The tables of the index and what a query sees of them: `docs/query.md` has every column.

Words of SQL are no names of columns: the right is `access`, a rule's `then` is `response`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: An index of another version is made anew.
VERSION: Final = 2

#: column -> (key of the map in the record, with `:N` an item of the array there; `*` is the whole
#: map; "" is the entry's own), what it holds
DECISIONS: Final = {
    "entry": ("", "number"), "time": ("", "number"), "run": ("", "text"),
    "kind": ("kind", "text"), "verdict": ("verdict", "text"), "access": ("right", "text"),
    "target": ("target", "text"), "asked": ("asked", "text"), "event": ("event", "text"),
    "pid": ("pid", "number"), "seq": ("seq", "number"), "because": ("because", "text"),
    "remedy": ("remedy", "text"), "rule": ("rule", "text"), "granted": ("grant", "text"),
    "file": ("at:0", "text"), "line": ("at:1", "number"), "function": ("at:2", "text"),
    "response": ("then", "text"), "rule_id": ("id", "text"), "message": ("text", "text"),
    "package": ("package", "text"), "data": ("*", "text"),
}  # fmt: skip
STARTS: Final = {
    "entry": ("", "number"), "time": ("", "number"), "run": ("", "text"),
    "mode": ("mode", "text"), "kind": ("kind", "text"),
    "program": ("@program", "text"), "command": ("@command", "text"),
    "argv": ("argv", "text"), "cwd": ("cwd", "text"), "tier": ("tier", "text"),
    "guest": ("@guest", "text"), "python": ("python", "text"), "belljar": ("belljar", "text"),
    "policy": ("policy-name", "text"), "policy_digest": ("policy-digest", "text"),
    "uid": ("uid", "number"), "pid": ("pid", "number"),
    "data": ("*", "text"),
}  # fmt: skip
ENDS: Final = {
    "entry": ("", "number"), "time": ("", "number"), "run": ("", "text"),
    "ended_by": ("ended-by", "text"), "status": ("status", "number"),
    "signal": ("signal", "number"), "seconds": ("wall", "real"), "events": ("events", "number"),
    "drops": ("drops", "number"), "missed": ("missed", "number"),
    "unkept": ("unkept", "number"), "denials": ("denials", "number"),
    "alerts": ("alerts", "number"), "data": ("*", "text"),
}  # fmt: skip
_SQL: Final = {"number": "BIGINT", "text": "VARCHAR", "real": "DOUBLE"}


def _table(name: str, columns: dict[str, tuple[str, str]]) -> str:
    own = {"entry": "UBIGINT", "time": "TIMESTAMP_NS"}
    typed = ", ".join(f'"{c}" {own.get(c) or _SQL[kind]}' for c, (_, kind) in columns.items())
    return f"CREATE TABLE raw.{name} ({typed})"


TABLES: Final = (
    "CREATE SCHEMA raw",
    "CREATE TABLE raw.state (version INTEGER, entry UBIGINT, own BLOB, bodies UBIGINT)",
    "CREATE TABLE raw.run_ids (id UINTEGER, run VARCHAR)",
    "CREATE TABLE raw.facts (entry UBIGINT, kind UTINYINT, time TIMESTAMP_NS,"
    " recorded TIMESTAMP_NS, run UINTEGER, pid UINTEGER, thread UINTEGER, seq UBIGINT,"
    " body UINTEGER)",
    "CREATE TABLE raw.bodies (id UINTEGER, name VARCHAR, category VARCHAR, access VARCHAR,"
    " target VARCHAR, asked VARCHAR, refused BOOLEAN, file VARCHAR, line BIGINT,"
    " function VARCHAR, cwd VARCHAR, args VARCHAR, stack VARCHAR, data VARCHAR, reason VARCHAR,"
    " bytes BLOB)",
    _table("decisions", DECISIONS),
    _table("starts", STARTS),
    _table("ends", ENDS),
)

_KINDS: Final = (
    "['broken','hello','event','bye','loss','syscall','start','decision','end','recovered',"
    "'closed','pruned','epoch','sender']"
)
_FROM: Final = (
    " FROM raw.facts f JOIN raw.bodies b ON f.body = b.id LEFT JOIN raw.run_ids r ON f.run = r.id"
)
_HEAD: Final = "f.entry, f.time, f.recorded, r.run, f.pid, f.thread, f.seq"

VIEWS: Final = (
    f"CREATE VIEW events AS SELECT {_HEAD}, b.name, b.category, b.access, b.target, b.asked,"
    f" b.refused, b.file, b.line, b.function, b.cwd, b.args, b.stack{_FROM} WHERE f.kind = 2",
    f"CREATE VIEW syscalls AS SELECT {_HEAD}, b.name, b.category, b.target, b.asked, b.data"
    f"{_FROM} WHERE f.kind = 5",
    f"CREATE VIEW entries AS SELECT f.entry, coalesce({_KINDS}[f.kind + 1], 'other') AS kind,"
    " f.time, f.recorded, r.run, f.pid, f.thread, f.seq, b.name, b.category, b.access, b.target,"
    " b.asked, b.refused, b.file, b.line, b.function, b.cwd, b.args, b.stack, b.data, b.reason,"
    f" b.bytes{_FROM}",
    "CREATE VIEW decisions AS SELECT * FROM raw.decisions",
    "CREATE VIEW alerts AS SELECT * FROM raw.decisions"
    " WHERE kind = 'alert' OR response IN ('alert', 'deny', 'kill')",
    "CREATE VIEW runs AS SELECT s.run, coalesce(s.kind, s.mode) AS kind, s.time AS started,"
    " round(coalesce(e.seconds, (epoch_ns(e.time) - epoch_ns(s.time)) / 1e9), 3) AS seconds,"
    " s.command, e.ended_by, e.status, e.signal, e.denials, e.alerts, e.events,"
    " s.guest, s.program, s.argv, s.cwd, s.policy, s.tier, e.drops, e.missed, e.unkept,"
    " e.time AS ended, s.python, s.belljar, s.uid, s.pid, s.policy_digest, s.entry,"
    " e.entry AS end_entry"
    " FROM raw.starts s LEFT JOIN (SELECT * FROM raw.ends"
    " QUALIFY row_number() OVER (PARTITION BY run ORDER BY entry DESC) = 1) e ON e.run = s.run",
)
