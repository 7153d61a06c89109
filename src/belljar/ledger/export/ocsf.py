"""Entries as OCSF events (schema 1.7.0, https://schema.ocsf.io), one JSON object each.

What OCSF has a place for goes there; the entry as `belljar log tail --json` has it is in
`unmapped.belljar`, so nothing is lost. An entry that does not decode is a Base Event.
"""

from __future__ import annotations

from belljar import __version__
from belljar.events.catalogue import category
from belljar.events.syscalls import Syscall
from belljar.ledger.entries import plain
from belljar.ledger.export import ocsf_table as t
from belljar.ledger.query.rows import sound
from belljar.model import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from belljar.ledger.entries import Entry

    Map = dict[str, Any]

_MOST: Final = (1 << 63) - 1
_SEVERITIES: Final = {1: "Informational", 2: "Low", 3: "Medium", 4: "High"}
_OUTWARD, _INWARD = 2, 1
#: Kinds whose `data` says of the record itself that something is missing.
_WORRYING: Final = ("loss", "recovered", "broken")


def ocsf(entry: Entry, host: str = "") -> Map:
    """`entry` as an OCSF event; `host` is the name of the machine it is told to come from.

    Never raises for what is in the entry. Times are milliseconds since 1970, as OCSF has them.

    >>> from belljar.ledger.entries import Entry
    >>> event = ocsf(Entry(7, "event", 10**18, 10**18, bytes(16), Event(1, 0, 9, 9, "os.fork", ())))
    >>> event["class_uid"], event["type_uid"], event["metadata"]["sequence"]
    (1007, 100701, 7)
    """
    kind, activity = _class(entry)
    number, caption, activities = t.CLASSES[kind]
    severity = _severity(entry)
    name = _name(entry)
    event: Map = {
        "activity_id": activity,
        "activity_name": activities.get(activity, name),
        "category_uid": number,
        "class_name": caption,
        "class_uid": kind,
        "metadata": _metadata(entry, name, kind),
        "severity": _SEVERITIES[severity],
        "severity_id": severity,
        "time": entry.time // 10**6,
        "type_name": f"{caption}: {activities.get(activity, 'Other')}",
        "type_uid": kind * 100 + activity,
        "unmapped": {"belljar": entry.plain()},
    }
    if kind not in (t.BASE, t.LIFECYCLE, t.FINDING):
        event["actor"] = {"process": _process(entry)}
    if kind not in (t.BASE, t.LIFECYCLE):
        event["device"] = {"hostname": host or "unknown", "type_id": 0}
    if kind in _PARTS:
        event |= _PARTS[kind](entry, host or "unknown")
    if entry.kind == "broken":
        event["message"] = f"an entry that does not decode: {entry.reason}"
    if _refused(entry):
        event |= {"status": "Failure", "status_id": 2} if kind != t.FINDING else {}
        event |= {"action": "Denied", "action_id": 2}
        event |= {"disposition": "Blocked", "disposition_id": 2}
    found: Map = sound(event)
    return found


def _class(entry: Entry) -> tuple[int, int]:
    data = entry.data
    if isinstance(data, Event):
        return t.event_class(data.name, category(data.name))
    if isinstance(data, Syscall):
        return t.CALLS.get(data.kind, (t.BASE, t.OTHER))
    if _is_call(entry):
        return t.BASE, t.OTHER  # nothing was found
    return t.ENTRIES.get(entry.kind, (t.BASE, t.OTHER))


def _is_call(entry: Entry) -> bool:
    return entry.kind == "decision" and _get(entry, "kind") == "call"


def _name(entry: Entry) -> str:
    name = getattr(entry.data, "name", None)
    return name if isinstance(name, str) and name else "call" if _is_call(entry) else entry.kind


def _severity(entry: Entry) -> int:
    if _is_call(entry):
        return 1
    if entry.kind == "decision":
        return 4 if _get(entry, "kind") == "alert" else 3
    return 3 if entry.kind in _WORRYING or _name(entry) == "belljar.silenced" else 1


def _refused(entry: Entry) -> bool:
    return bool(getattr(entry.data, "refused", False)) or _get(entry, "verdict") == "deny"


def _metadata(entry: Entry, name: str, kind: int) -> Map:
    profiles = [] if kind in (t.BASE, t.LIFECYCLE) else ["host"]
    if _refused(entry):
        profiles.append("security_control")
    found = {
        "event_code": name,
        "log_name": "belljar.ledger",
        "logged_time": entry.recorded // 10**6,
        "product": {"name": "Belljar", "vendor_name": "Belljar", "version": __version__},
        "profiles": profiles,
        "sequence": entry.number,
        "uid": f"{entry.run.hex()}-{entry.number}",
        "version": t.SCHEMA,
    }
    if kind == t.REGISTRY:
        found["extensions"] = [{"name": "win", "uid": "2", "version": t.SCHEMA}]
    return found


def _process(entry: Entry) -> Map:
    """The process that did it; of an entry that no process sent, the run."""
    if not entry.pid:
        pid = _number(_get(entry, "pid"))
        found: Map = {"uid": entry.run.hex()}
        return found | ({"pid": pid} if pid else {})
    found = {"pid": entry.pid, "tid": entry.thread, "uid": f"{entry.run.hex()}-{entry.pid}"}
    cwd = getattr(entry.data, "cwd", None)
    if isinstance(cwd, str):
        found["working_directory"] = cwd
    return found


def _get(entry: Entry, key: str) -> Any:
    return entry.data.get(key) if isinstance(entry.data, dict) else None


def _number(value: object) -> int:
    return value if type(value) is int and 0 <= value <= _MOST else 0


def _target(entry: Entry) -> str:
    """What it is about, as well as the entry tells; never empty."""
    for name in ("target", "asked"):
        value = getattr(entry.data, name, None) or _get(entry, name)
        if isinstance(value, str) and value:
            return value
    return "unknown"


def _file_of(path: str) -> Map:
    found = {"name": path.rstrip("/").rpartition("/")[2] or path, "type_id": 0}
    return found | ({"path": path} if "/" in path else {})


def _file(entry: Entry, _host: str) -> Map:
    data, target = entry.data, _target(entry)
    if _class(entry)[1] != 5:
        return {"file": _file_of(target)}
    before = data.other if isinstance(data, Syscall) else None
    if isinstance(data, Event):
        from belljar.events.targets import targets

        every = targets(data)
        before = every[1][1] if len(every) > 1 else None
    return {"file": _file_of(before or "unknown"), "file_result": _file_of(target)}


def _memory(entry: Entry, _host: str) -> Map:
    return {"process": _process(entry)}


def _module(entry: Entry, _host: str) -> Map:
    target = _target(entry)
    if _class(entry)[1] == 3:
        return {"module": {"function_name": target, "load_type_id": 1}}
    return {"module": {"file": _file_of(target), "load_type_id": 1}}


def _started(entry: Entry, _host: str) -> Map:
    """The process that something is done to. One that is about to be started has no number yet."""
    data, name = entry.data, _name(entry)
    if entry.kind in ("hello", "bye"):
        found = _process(entry)
        argv = getattr(data, "argv", ())
        parent = getattr(data, "ppid", 0)
        if argv:
            found["cmd_line"] = " ".join(argv)
        if isinstance(getattr(data, "executable", None), str):
            found["file"] = _file_of(data.executable)
        return {"process": found | ({"parent_process": {"pid": parent}} if parent else {})}
    target = _target(entry)
    if name in ("os.kill", "os.killpg", "sys.remote_exec", "_winapi.OpenProcess"):
        if target.isascii() and target.isdigit():
            return {"process": {"pid": int(target[:18])}}
        return {"process": {"uid": target}}
    if _class(entry)[1] != 1 or name in ("os.fork", "os.forkpty"):
        return {"process": _process(entry)}
    uid = f"{entry.run.hex()}-{entry.pid}-{entry.seq}"
    return {"process": {"uid": uid, "name": _file_of(target)["name"], "file": _file_of(target)}}


def _log(_entry: Entry, _host: str) -> Map:
    return {"log_name": "belljar.ledger"}


def _script(entry: Entry, _host: str) -> Map:
    """Code: its text where the event has it, which may be only its beginning."""
    data = entry.data
    text, size = "", 0
    if isinstance(data, Event) and data.name in ("compile", "cpython.run_command") and data.args:
        first = data.args[0]
        text = first if isinstance(first, str) else getattr(first, "text", "")
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        size = getattr(first, "length", 0)
    content: Map = {"value": text}
    if size:
        content |= {"is_truncated": True, "untruncated_size": size}
    return {"script": {"file": _file_of(_target(entry)), "script_content": content, "type_id": 3}}


def _endpoint(target: str, host: str) -> Map:
    """`host:port`, `[v6]:port`, `udp:...`, `unix:...` and the rest, as an endpoint."""
    where = target.removeprefix("udp:")
    name, colon, port = where.rpartition(":")
    if where.startswith(("unix:", "netlink", "packet:", "vsock:")) or target == "unknown":
        return {"svc_name": where} if target != "unknown" else {"hostname": host}
    if not colon or not (port.isascii() and port.isdigit() and len(port) < 6):
        return {"hostname": where.strip("[]") or host}
    name = name.strip("[]")
    numeric = ":" in name or name.replace(".", "").isdigit()
    return {"ip" if numeric else "hostname": name or host, "port": int(port)}


def _network(entry: Entry, host: str) -> Map:
    target = _target(entry)
    listens = _class(entry)[1] == 7
    found: Map = {"connection_info": {"direction_id": _INWARD if listens else _OUTWARD}}
    if target.startswith("udp:"):
        found["connection_info"] |= {"protocol_name": "udp", "protocol_num": 17}
    known = target != "unknown"
    return found | {"dst_endpoint" if known else "src_endpoint": _endpoint(target, host)}


def _dns(entry: Entry, host: str) -> Map:
    return {"query": {"hostname": _target(entry)}, "src_endpoint": {"hostname": host}}


def _lifecycle(entry: Entry, _host: str) -> Map:
    program = _get(entry, "program")
    argv = _get(entry, "argv")
    words = (
        program[1:2] if isinstance(program, list) else argv[:1] if isinstance(argv, list) else []
    )
    name = words[0] if words and isinstance(words[0], str) and words[0] else "python"
    return {"app": {"name": name, "vendor_name": "unknown"}}


def _kernel(entry: Entry, _host: str) -> Map:
    return {"kernel": {"name": _name(entry), "type_id": 2}}


def _registry(entry: Entry, _host: str) -> Map:
    return {"reg_key": {"path": _target(entry)}}


def _finding(entry: Entry, host: str) -> Map:
    """A denial or an alert."""
    data: Map = plain(entry.data) if isinstance(entry.data, dict) else {}

    def word(key: str) -> str:
        value = data.get(key)
        return value if isinstance(value, str) else ""

    alert = word("kind") == "alert"
    rule = word("id") or word("rule") or word("because") or "belljar"
    title = word("text") or f"{word('verdict')} {word('right')} {word('target')}".strip()
    at = data.get("at")
    evidence: Map = {"actor": {"process": _process(entry)}, "data": data}
    if isinstance(at, list) and at and isinstance(at[0], str):
        evidence["file"] = _file_of(at[0] or "unknown")
    return {
        "evidences": [evidence],
        "finding_info": {
            "analytic": {"name": rule, "type": "Rule", "type_id": 1, "uid": rule},
            "desc": word("because"),
            "title": title or "a decision",
            "uid": f"{entry.run.hex()}-{entry.number}",
        },
        "is_alert": alert,
        "status": "New",
        "status_id": 1,
    }


_PARTS: Final[dict[int, Callable[[Entry, str], Map]]] = {
    t.FILE: _file, t.KERNEL: _kernel, t.MEMORY: _memory, t.MODULE: _module, t.PROCESS: _started,
    t.EVENT_LOG: _log, t.SCRIPT: _script, t.FINDING: _finding, t.NETWORK: _network, t.DNS: _dns,
    t.LIFECYCLE: _lifecycle, t.REGISTRY: _registry,
}  # fmt: skip
