"""What is made from a policy or its keys: digest, explanation, JSON schema; and the cost of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from belljar.model import Grant, Limits, Policy, Rule
from belljar.policy import digest, explain, from_flags, json_schema
from belljar.policy.file import parse
from belljar.policy.keys import KEYS

A, B = Grant("read", "/a", "--read", "/a"), Grant("write", "/b", "p.toml:3", "/b")


def test_a_digest_tells_meanings_apart_and_not_places() -> None:
    policy = Policy(grants=(A, B), given=(("files.read", "--read"),))
    same = Policy(grants=(B, A.replace(origin="p.toml:9"), A))
    assert digest(policy) == digest(same)
    others = [
        Policy(),
        Policy(grants=(A,)),
        Policy(grants=(A, B.replace(optional=True))),
        Policy(grants=(A, B), limits=Limits(cpu=61.0)),
        Policy(grants=(A, B), env=(("X", True),)),
        Policy(grants=(A, B), env=(("X", "True"),)),
        Policy(grants=(A, B), rules=(Rule(),)),
        Policy(grants=(A, B), builtins=("all",)),
        Policy(grants=(Grant("read", "/\udcff", ""),)),
    ]
    assert len({digest(policy), *map(digest, others)}) == len(others) + 1


def test_a_digest_is_pinned_so_that_every_process_and_python_agrees() -> None:
    assert digest(Policy()) == "0845298dc431fa61297db3d607027a8d876e361ef34806ea37819edc0cf6f57f"


def test_an_explanation_has_every_key_and_where_it_was_written() -> None:
    policy = from_flags(Policy(), [("read", "-/x"), ("write", "/in=/out"), ("env", "A=1")], "/")
    rows = explain(policy)
    assert rows[:4] == [
        ("files.read", "/x (if it exists)", "--read"),
        ("files.write", "/in = /out", "--write"),
        ("files.overlay", "none", "default"),
        ("files.names", "auto", "default"),
    ]
    assert ("process.env", "A=1", "--env") in rows
    assert ("limits.memory", "1GiB", "default") in rows
    assert ("limits.wall", "1m", "default") in rows
    shown = {what for what, _, _ in rows}
    assert {key.dotted for key in KEYS if key.kind in ("size", "bool", "choice", "names")} <= shown


def test_the_schema_has_every_key_and_is_json() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["required"] == ["schema"]
    assert schema["additionalProperties"] is False
    for key in KEYS:
        leaf = schema["properties"][key.section]["properties"][key.name]
        assert leaf["description"] == key.help
    memory = schema["properties"]["limits"]["properties"]["memory"]["anyOf"]
    assert memory[0] == {"type": "integer", "minimum": 0}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.dotted)
def test_the_parser_takes_the_choices_that_the_schema_offers(key) -> None:
    leaf = json_schema()["properties"][key.section]["properties"][key.name]
    offered = leaf.get("enum", ()) or next(
        (o["enum"] for o in leaf.get("anyOf", ()) if "enum" in o), ()
    )
    for choice in offered:
        text = f'schema = 1\n[{key.section}]\n{key.name} = "{choice}"\n'
        assert getattr(parse(text, "p", "/"), key.field) == choice
    assert tuple(offered) == (key.choices if key.kind in ("choice", "builtins") else ())


def test_flags_and_decisions_import_nothing_slow() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from belljar.model import Policy, Event\n"
        "from belljar.policy import from_flags, decide, digest\n"
        "policy = from_flags(Policy(), [('read', '/x'), ('memory', '1G')], '/')\n"
        "decide(policy, Event(1, 0, 1, 1, 'open', ('/x', 'r', 0), 'read', '/x')); digest(policy)\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith("belljar")}
    assert loaded <= {"__future__", "_sha2", "_sha256"}
