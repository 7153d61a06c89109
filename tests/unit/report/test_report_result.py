"""The typed result: one line of ASCII JSON, whatever the guest named."""

from __future__ import annotations

import json

from belljar.model import Decision, Event, Frame, Protection, Rule, Status
from belljar.report.result import as_json
from belljar.sandbox.result import Denial, Result, Usage

STATUS = Status("user", (Protection("files", "full", "a wall"),))
EVENT = Event(
    1, 0, 1, 1, "open", (), "read", "/x\n\udcff", "x\n\udcff", (Frame("/box/job.py", 3, "f"),)
)  # fmt: skip
DENIAL = Denial(EVENT, Decision("deny", "why", None, "--read /x"), "read", "/x\n\udcff", 7)


def test_a_result_is_one_line_of_ascii() -> None:
    text = as_json(Result(1, "exit", STATUS, denials=(DENIAL,)))
    assert "\n" not in text
    assert text.isascii()
    assert json.loads(text)["denials"] == [
        {
            "right": "read", "target": "/x\n\udcff", "asked": "x\n\udcff", "event": "open",
            "because": "why", "remedy": "--read /x", "rule": None, "record": 7,
            "at": {"file": "/box/job.py", "line": 3, "function": "f"},
        }
    ]  # fmt: skip


def test_a_quiet_end_has_all_its_keys() -> None:
    result = Result(
        0, "exit", STATUS, Usage(1.23456789, 0.5, 0.25, 4096, 10, 20), ledger="/l", run_id="ab",
        planted=("/p/Makefile",), repeated=2, missed=3, unkept=4,
    )  # fmt: skip
    assert json.loads(as_json(result)) == {
        "schema": 1, "status": 0, "ended-by": "exit", "signal": None, "denials": [], "alerts": [],
        "repeated": 2, "missed": 3, "unkept": 4,
        "usage": {"wall": 1.234568, "user": 0.5, "system": 0.25, "peak-memory": 4096,
                  "output": 10, "events": 20},
        "receipt": {"tier": "user",
                    "protections": {"files": {"level": "full", "by": "a wall", "reason": ""}}},
        "planted": ["/p/Makefile"], "overlays": [], "ledger": "/l", "run": "ab",
    }  # fmt: skip


def test_signals_alerts_and_rules_are_told() -> None:
    decision = Decision("allow", "granted", None, "", Rule(then="alert", origin="policy.toml:3"))
    alert = Denial(EVENT.replace(stack=()), decision, "read", "/x", None, "alert")
    data = json.loads(as_json(Result(139, "signal", STATUS, signal=11, alerts=(alert,))))
    assert (data["status"], data["signal"], data["denials"]) == (139, 11, [])
    (row,) = data["alerts"]
    assert (row["rule"], row["remedy"], row["record"], row["at"]) == (
        "policy.toml:3", None, None, None,
    )  # fmt: skip
