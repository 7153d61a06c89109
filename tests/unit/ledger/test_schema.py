"""The published schema of our own form: every line that we write is of it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from belljar.ledger.entries import Entry, expand
from belljar.ledger.export.schema import VERSION, schema
from belljar.ledger.export.write import jsonl
from belljar.ledger.format import KINDS, SINGLE
from belljar.ledger.query.rows import KINDS as ENTRY_KINDS
from belljar.ledger.reader import Record

from .conftest import packed
from .everything import make

PAGE = Path(__file__).parents[3] / "docs" / "schema" / f"ledger-entry-{VERSION}.json"
CHECK = jsonschema.Draft202012Validator(schema())


def test_the_published_schema_is_this_one_and_is_a_schema() -> None:
    assert json.loads(PAGE.read_text("utf-8")) == schema(), "write schema() to docs/schema again"
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_line_of_an_export_of_every_kind_is_of_it(tmp_path: Path) -> None:
    make(str(tmp_path))
    kinds = set()
    for text in jsonl(str(tmp_path)):
        value = json.loads(text)
        kinds.add(value["kind"])
        CHECK.validate(value)
    rare = {"recovered", "closed", "pruned", "epoch", "sender"}
    assert kinds == set(ENTRY_KINDS) - rare | {"schema"}


@pytest.mark.parametrize("kind", sorted(SINGLE))
def test_records_of_one_map_are_of_it(kind: int) -> None:
    record = Record(0, kind, bytes(16), 7, 1, 10**18, packed({"any": ["thing", b"\xff", None]}))
    (entry,) = expand(record)
    assert entry.kind == KINDS[kind]
    assert entry.kind in ENTRY_KINDS
    CHECK.validate(json.loads(json.dumps(entry.plain())))


def test_what_is_none_of_it_is_refused() -> None:
    good = Entry(7, "decision", 1, 2, bytes(16), {"verdict": "deny"}).plain()
    CHECK.validate(good)
    for wrong in (
        good | {"entry": 0}, good | {"entry": "7"}, good | {"run": "xyz"}, good | {"data": []},
        good | {"time": -1}, good | {"time": 1 << 64}, good | {"pid": 5},
        {key: value for key, value in good.items() if key != "data"},
        {key: value for key, value in good.items() if key != "recorded"},
        good | {"kind": "broken"}, good | {"kind": "event"}, good | {"kind": "schema"},
        {"kind": "schema", "schema": "belljar.ledger.entry", "version": 2}, [], None,
    ):  # fmt: skip
        assert not CHECK.is_valid(wrong), wrong


def test_kinds_and_keys_of_later_versions_are_passed_over() -> None:
    later = Entry(7, "wormhole", 1, 2, bytes(16), {"x": 1}).plain() | {"colour": "blue"}
    CHECK.validate(later)


def test_every_kind_of_record_has_a_kind_of_entry() -> None:
    for name in KINDS.values():
        of = {"events": "event", "decisions": "decision"}.get(name, name)
        assert of in ENTRY_KINDS
