"""Calls of what a host shares, in the record: told as calls, never as denials or alerts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import belljar
from belljar.cli import main
from belljar.errors import LedgerError
from belljar.ledger.entries import Entry, expand
from belljar.ledger.export.ocsf import ocsf
from belljar.ledger.export.sarif import sarif
from belljar.ledger.reader import Reader
from belljar.ledger.runs import last_decision
from belljar.ledger.sinks.config import parse
from belljar.ledger.sinks.fields import item
from belljar.ledger.sinks.filter import Selection
from belljar.ledger.sinks.severity import LEVELS, severity
from belljar.ledger.sinks.store import Position, Registered


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("calls") / "ledger"
    with belljar.Sandbox(ledger=str(where), name="etl") as box:
        box.share("db", {"a": 1}, methods=["get"])
        box.run("host.db.get('a'); host.db.get('b')").check()
    return where


def entries(ledger: Path) -> list[Entry]:
    with Reader(str(ledger)) as reader:
        return [entry for record in reader.records() for entry in expand(record)]


@pytest.fixture(scope="module")
def called(ledger: Path) -> Entry:
    found = [e for e in entries(ledger) if e.kind == "decision"]
    assert [e.data["kind"] for e in found] == ["call", "call"]
    return found[0]


def test_a_call_is_an_info_and_its_line_says_what_was_called(called: Entry) -> None:
    assert LEVELS[severity(called)] == "info"
    told = item(called, "here")
    assert told.message == "called: host.db.get"
    assert dict(told.fields)["decision"] == "call"


def test_a_call_is_counted_as_one(ledger: Path) -> None:
    registered = Registered(parse("jsonl:/tmp/x?severity=debug"))
    selection = Selection(registered, Position(), "here")
    with Reader(str(ledger)) as reader:
        for record in reader.records():
            list(selection.items(record, 0))
    assert selection.totals["calls"] == 2
    assert not {"alerts", "denials"} & set(selection.totals)


def test_a_call_is_exported_as_no_finding(called: Entry) -> None:
    event = ocsf(called)
    assert (event["class_uid"], event["severity_id"]) == (0, 1)
    assert event["unmapped"]["belljar"]["data"]["target"] == "host.db.get"
    assert json.loads("".join(sarif([called])))["runs"][0]["results"] == []


def test_why_goes_by_calls_and_explains_one_that_is_asked_for(
    ledger: Path, called: Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LedgerError, match="no denial and no alert"):
        last_decision(str(ledger))
    assert main(["why", str(called.number), str(ledger)]) == 0
    out = capsys.readouterr().out
    assert f"#{called.number}: called host.db.get" in out
    assert "an alert only tells" not in out
    assert "the host shares it" in out


def test_the_newest_denial_is_found_behind_calls(tmp_path: Path) -> None:
    where = tmp_path / "ledger"
    with belljar.Sandbox(ledger=str(where)) as box:
        allow = {"get": lambda key: key == "a"}
        box.share("db", {"a": 1}, methods=["get"], allow=allow)
        denial = box.run("host.db.get('b')").denials[0]
        for _ in range(3):
            box.run("host.db.get('a')").check()
    assert last_decision(str(where)) == denial.number


def test_log_show_and_tail_word_it(
    ledger: Path, called: Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", "tail", "-n", "100", str(ledger)]) == 0
    assert "called host.db.get" in capsys.readouterr().out
    assert main(["log", "show", str(called.number), str(ledger)]) == 0
    assert "host.db.get" in capsys.readouterr().out
