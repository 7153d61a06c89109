"""OCSF 1.7.0 for every catalogued event, against the schema as `pydantic-ocsf` has it.

That library has all classes but those of OCSF's Windows extension; Registry Key Activity is
checked against the requirements of the extension's own definition (`registry_key_activity`). The
library lets unknown attributes pass, so that is checked here: none but those of the profiles that
an event names.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import jsonschema
import msgspec
import pytest

from belljar.events import table
from belljar.events.decode import decode
from belljar.events.syscalls import KINDS as CALLS
from belljar.events.syscalls import Syscall
from belljar.ledger.entries import Entry
from belljar.ledger.export import ocsf_table
from belljar.ledger.export.ocsf import ocsf
from belljar.ledger.export.write import entries
from belljar.ledger.query.rows import KINDS
from belljar.model import Event

from .everything import NASTY, event, make

RUN = bytes(range(16))
PROFILES = {
    "host": {"actor", "device"},
    "security_control": {"action", "action_id", "disposition", "disposition_id"},
}
#: What `registry_key_activity` and the classes that it extends require (the Windows extension).
REGISTRY = {
    "type": "object",
    "required": ["activity_id", "actor", "category_uid", "class_uid", "device", "metadata",
                 "reg_key", "severity_id", "time", "type_uid"],
    "properties": {
        "activity_id": {"enum": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99]},
        "category_uid": {"const": 1}, "class_uid": {"const": 201001},
        "reg_key": {"type": "object", "required": ["path"]},
        "actor": {"type": "object", "required": ["process"]},
        "device": {"type": "object", "required": ["type_id"]},
        "metadata": {"type": "object", "required": ["product", "version"]},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def models():
    """Class number -> the library's model of it."""
    import ocsf as package
    from ocsf.v1_7_0 import events

    path = Path(package.__file__).parent / "schemas" / "v1_7_0.json"
    definitions = json.loads(path.read_text("utf-8"))["events"]
    found = {0: events.BaseEvent}
    for name in dir(events):
        model = getattr(events, name)
        number = getattr(model, "model_fields", {}).get("class_uid")
        if number is not None and isinstance(number.default, int):
            found[number.default] = model
    named = {
        1001: "FileActivity", 1003: "KernelActivity", 1004: "MemoryActivity",
        1005: "ModuleActivity", 1007: "ProcessActivity", 1008: "EventLogActvity",
        1009: "ScriptActivity", 2004: "DetectionFinding", 4001: "NetworkActivity",
        4003: "DnsActivity", 6002: "ApplicationLifecycle",
    }  # fmt: skip
    assert "script_activity" in definitions
    return found | {number: getattr(events, name) for number, name in named.items()}


def unknown(model: object, allowed: set[str], path: str = "") -> list[str]:
    """Attributes that the schema does not have, anywhere but in `unmapped` and free-form data."""
    found = []
    for name in getattr(model, "model_extra", None) or {}:
        if name not in allowed:
            found.append(f"{path}.{name}")
    for name in getattr(type(model), "model_fields", {}):
        if name in ("unmapped", "data"):
            continue
        value = getattr(model, name)
        for one in value if isinstance(value, list) else [value]:
            if hasattr(one, "model_fields_set"):
                found += unknown(one, set(), f"{path}.{name}")
    return found


def check(models, event: dict) -> None:
    """`event` is what the schema asks for."""
    number, activity = event["class_uid"], event["activity_id"]
    assert event["type_uid"] == number * 100 + activity
    event = json.loads(json.dumps(event))
    if number == ocsf_table.REGISTRY:
        jsonschema.validate(event, REGISTRY)
        return
    category, caption, activities = ocsf_table.CLASSES[number]
    allowed = set().union(*(PROFILES[name] for name in event["metadata"]["profiles"]))
    model = models[number].model_validate(event)
    assert unknown(model, allowed) == []
    for name in {"actor", "device"} & event.keys():
        from ocsf.v1_7_0 import objects

        part = getattr(objects, name.capitalize()).model_validate(event[name])
        assert unknown(part, set(), name) == []
    assert event["category_uid"] == category
    assert event["class_name"] == caption
    assert activity in {*activities, 99}
    if "src_endpoint" not in event and number in (ocsf_table.NETWORK, ocsf_table.DNS):
        assert event["dst_endpoint"]
    process = event.get("process") or event.get("actor", {}).get("process")
    if process is not None:
        assert {"pid", "uid", "cpid"} & process.keys()


def catalogued() -> list[str]:
    return [entry.name for entry in table.entries()]


def arguments(name: str) -> list[object]:
    """Some arguments of the right types."""
    samples = {"str": "text", "bytes": b"raw", "int": 5, "float": 0.5, "bool": True, "tuple": ["a"],
               "list": ["a"], "dict": ["a"]}  # fmt: skip
    found: list[object] = []
    for argument in table.lookup(name).arguments():
        kind = next((word for word in argument.types if word in samples), "")
        found.append(samples.get(kind, msgspec.msgpack.Ext(3, b"Thing")))
    return found


def test_every_catalogued_event_has_a_class_and_an_activity_and_no_other_has() -> None:
    assert set(ocsf_table.EVENTS) == set(catalogued())
    pairs = sum(len(names.split()) for names in ocsf_table._EVENTS.values())
    assert pairs == len(ocsf_table.EVENTS), "an event is there twice"
    assert set(ocsf_table.CALLS) == set(CALLS)
    assert set(ocsf_table.ENTRIES) == set(KINDS) - {"broken", "event", "syscall"}


def test_classes_and_activities_are_those_of_the_schema() -> None:
    import ocsf as package

    path = Path(package.__file__).parent / "schemas" / "v1_7_0.json"
    definitions = json.loads(path.read_text("utf-8"))["events"]
    captions = {one["caption"]: one for one in definitions.values()}
    for number, (category, caption, activities) in ocsf_table.CLASSES.items():
        if number == ocsf_table.REGISTRY:
            continue
        one = captions[caption]
        assert number == category * 1000 + (one.get("uid") or 0)
        enum = one["attributes"].get("activity_id", {}).get("enum", {})
        own = captions.get("Finding", {})["attributes"].get("activity_id", {}).get("enum", {})
        for activity, said in activities.items():
            assert (enum or own)[str(activity)]["caption"] == said


def test_the_right_decides_the_class_where_there_is_one() -> None:
    """The table is written by hand; the catalogue's rights say the same."""
    of_right = {
        "list": {1001}, "connect": {4001}, "resolve": {4003}, "run": {1007}, "signal": {1007},
        "env": {1007}, "code": {1009}, "write": {1001},
    }  # fmt: skip
    for entry in table.entries():
        classes = of_right.get(entry.right or "")
        if classes:
            assert ocsf_table.EVENTS[entry.name][0] in classes, entry.name


@pytest.mark.parametrize("name", catalogued())
def test_every_catalogued_event_is_valid(models, name: str) -> None:
    for args in (arguments(name), []):
        for flags in (0, 2):
            found = decode(event(name, args, flags=flags))
            entry = Entry(7, "event", 10**18, 10**18, RUN, found, 77, 5, 1)
            told = ocsf(entry, "host.example")
            check(models, told)
            assert told["metadata"]["event_code"] == name
            assert told["unmapped"]["belljar"]["data"]["name"] == name
            assert (told.get("disposition_id") == 2) == bool(flags)


@pytest.mark.parametrize("kind", sorted(CALLS))
def test_every_kind_of_system_call_is_valid(models, kind: str) -> None:
    for target in ("/etc/passwd", "10.0.0.1:443", ""):
        call = Syscall(CALLS[kind][0], kind, 7, 7, 1, 5, target=target, other="/old")
        check(models, ocsf(Entry(7, "syscall", 5, 5, RUN, call, 7, 7, 1)))


def test_every_entry_of_a_ledger_of_everything_is_valid(models, tmp_path: Path) -> None:
    make(str(tmp_path))
    kinds = set()
    for entry in entries(str(tmp_path)):
        told = ocsf(entry, "host.example")
        kinds.add(entry.kind)
        check(models, told)
        assert told["metadata"]["sequence"] == entry.number
        assert told["time"] == entry.time // 10**6
    assert {
        "event",
        "hello",
        "bye",
        "loss",
        "syscall",
        "start",
        "decision",
        "end",
        "broken",
    } <= kinds


@pytest.mark.parametrize("kind", ["recovered", "closed", "pruned", "epoch", "sender", "wormhole"])
def test_the_ledgers_own_entries_and_later_ones_are_valid(models, kind: str) -> None:
    check(models, ocsf(Entry(7, kind, 5, 5, bytes(16), {"any": ["thing", b"\xff"], 3: None})))


@pytest.mark.parametrize(
    "data",
    [
        {}, {"at": [1]}, {"verdict": [], "right": 5, "target": {"a": b""}}, {1: 2},
        {"id": "\udcff", "at": ["", 1, ""]}, {"pid": 1 << 70},
    ],
)  # fmt: skip
def test_a_decision_of_any_map_is_valid(models, data: dict) -> None:
    check(models, ocsf(Entry(7, "decision", 5, 5, RUN, data)))
    for kind in ("start", "end"):
        check(models, ocsf(Entry(7, kind, 5, 5, RUN, data | {"argv": [5], "program": "x"})))


def test_a_file_a_socket_a_program_and_a_name_are_told_as_such() -> None:
    def told(name: str, *args: object) -> dict:
        found = decode(event(name, list(args)))
        return ocsf(Entry(7, "event", 10**18, 10**18, RUN, found, 77, 5, 1), "host.example")

    opened = told("open", "/etc/passwd", "r", 0)
    assert opened["file"] == {"name": "passwd", "path": "/etc/passwd", "type_id": 0}
    assert opened["actor"]["process"]["pid"] == 77
    moved = told("os.rename", "a", "/b", -1, -1)
    assert (moved["file"]["path"], moved["file_result"]["path"]) == ("/w/a", "/b")
    socket = msgspec.msgpack.Ext(7, msgspec.msgpack.encode(["socket", 2, 2]))
    sent = told("socket.connect", socket, ["10.0.0.1", 53])
    assert sent["dst_endpoint"] == {"ip": "10.0.0.1", "port": 53}
    assert sent["connection_info"] == {
        "direction_id": 2, "protocol_name": "udp", "protocol_num": 17,
    }  # fmt: skip
    assert told("socket.getaddrinfo", "evil.example", 80, 0, 0, 0)["query"] == {
        "hostname": "evil.example"
    }
    started = told("subprocess.Popen", "/bin/ls", ["ls"], None, [])
    assert started["process"]["file"]["path"] == "/bin/ls"
    assert started["actor"]["process"]["pid"] == 77
    assert told("os.kill", 1, 9)["process"] == {"pid": 1}
    code = told("cpython.run_command", "print(1)")
    assert code["script"]["script_content"] == {"value": "print(1)"}


@pytest.mark.parametrize("text", [*NASTY, "udp:", "[::1]:", ":::", "unix:\x00x", "a:99999999", ""])
def test_an_address_of_any_text_is_an_endpoint(models, text: str) -> None:
    for name in ("socket.connect", "socket.bind", "socket.sendto"):
        found = Event(1, 2, 3, 4, name, (), "connect", text, text)
        check(models, ocsf(Entry(7, "event", 2, 2, RUN, found, 3, 4, 1)))


def test_a_time_of_any_size_is_a_time(models) -> None:
    frame = event("os.fork", [], time=(1 << 64) - 1)
    assert struct.unpack_from("<Q", frame, 24) == ((1 << 64) - 1,)
    check(models, ocsf(Entry(7, "event", (1 << 64) - 1, 0, RUN, decode(frame), 3, 4, 1)))
