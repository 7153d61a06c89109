"""SARIF 2.1.0 of denials and alerts, against the structure that the standard requires."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest

from belljar.ledger.entries import Entry
from belljar.ledger.export.sarif import sarif
from belljar.ledger.export.write import sarif_parts

from .everything import NASTY, decisions, make

_MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
_RULE = {
    "type": "object", "required": ["id"], "additionalProperties": False,
    "properties": {"id": {"type": "string", "minLength": 1}, "shortDescription": _MESSAGE},
}  # fmt: skip
_LOCATION = {
    "type": "object", "additionalProperties": False,
    "properties": {
        "physicalLocation": {
            "type": "object", "required": ["artifactLocation"], "additionalProperties": False,
            "properties": {
                "artifactLocation": {
                    "type": "object", "required": ["uri"], "additionalProperties": False,
                    "properties": {"uri": {"type": "string", "pattern": "^[!-~]+$"}},
                },
                "region": {
                    "type": "object", "additionalProperties": False,
                    "properties": {"startLine": {"type": "integer", "minimum": 1}},
                },
            },
        },
        "logicalLocations": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"},
                                                       "kind": {"const": "function"}}},
        },
    },
}  # fmt: skip
#: What sections 3.13 to 3.49 of the standard require of what is in our logs, and nothing else.
STRUCTURE = {
    "type": "object", "required": ["version", "runs"], "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array", "minItems": 1, "maxItems": 1,
            "items": {
                "type": "object", "required": ["tool", "results"], "additionalProperties": False,
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "type": "object", "required": ["driver"], "additionalProperties": False,
                        "properties": {
                            "driver": {
                                "type": "object", "required": ["name"],
                                "additionalProperties": False,
                                "properties": {
                                    "name": {"type": "string"},
                                    "semanticVersion": {"type": "string"},
                                    "rules": {"type": "array", "items": _RULE,
                                              "uniqueItems": True},
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object", "required": ["message", "ruleId"],
                            "additionalProperties": False,
                            "properties": {
                                "ruleId": {"type": "string", "minLength": 1},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": _MESSAGE,
                                "locations": {"type": "array", "items": _LOCATION},
                                "properties": {"type": "object"},
                            },
                        },
                    },
                },
            },
        },
    },
}  # fmt: skip


def of(*data: object) -> dict:
    every = [Entry(n, "decision", 1, 2, bytes(16), one) for n, one in enumerate(data, 1)]
    return json.loads("".join(sarif(every)))


def test_a_log_of_everything_has_the_structure_of_the_standard(tmp_path: Path) -> None:
    make(str(tmp_path))
    log = json.loads("".join(sarif_parts(str(tmp_path))))
    jsonschema.Draft202012Validator(STRUCTURE).validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    denied = [one for one in run["results"] if one["ruleId"] != "belljar/broken"]
    assert len(denied) == len(decisions()) + 1
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_denial_names_right_target_reason_and_the_frame() -> None:
    (result,) = of(decisions()[0])["runs"][0]["results"]
    assert result["ruleId"] == "denied/read"
    assert result["level"] == "error"
    assert result["message"]["text"] == "denied: read /etc/passwd (no grant covers it)"
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "file:///srv/my%20app.py"},
                "region": {"startLine": 14},
            },
            "logicalLocations": [{"name": "load", "kind": "function"}],
        }
    ]
    assert result["properties"]["belljar"]["data"] == decisions()[0]


def test_an_alert_has_the_rule_of_the_policy() -> None:
    log = of(decisions()[1])["runs"][0]
    assert log["results"][0]["ruleId"] == "ssh-keys"
    assert log["tool"]["driver"]["rules"] == [
        {"id": "ssh-keys", "shortDescription": {"text": "Keys were read."}}
    ]
    assert of({"rule": "policy.toml:9"})["runs"][0]["results"][0]["ruleId"] == "rule/policy.toml:9"


@pytest.mark.parametrize("text", [*NASTY, "/a b/é\udcff", "..\\x", "//host/x", "a:b", "?#%41"])
def test_a_file_of_any_name_is_a_path_and_never_more_of_a_uri(text: str) -> None:
    for name in (text, "/" + text):
        (result,) = of({"at": [name, 1, "f"]})["runs"][0]["results"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        parts = urlsplit(uri)
        assert parts.scheme == ("file" if name.startswith("/") else "")
        assert (parts.netloc, parts.query, parts.fragment) == ("", "", "")
        spelled = name.encode("utf-8", "backslashreplace").decode()
        assert unquote(parts.path) == spelled


@pytest.mark.parametrize(
    "at", [None, [], "x", ["", 1, "f"], [1, 2, 3], ["/a", 1], ["/a", 1, "f", 2], {"a": 1}]
)
def test_what_is_no_frame_is_no_location(at: object) -> None:
    (result,) = of({"at": at})["runs"][0]["results"]
    assert "locations" not in result


@pytest.mark.parametrize("line", [0, -1, 1 << 40, "1", None, True, 1.5])
def test_what_is_no_line_is_no_region(line: object) -> None:
    (result,) = of({"at": ["/a", line, "f"]})["runs"][0]["results"]
    assert "region" not in result["locations"][0]["physicalLocation"]


def test_rules_are_bounded_and_results_beyond_still_name_theirs(monkeypatch) -> None:
    monkeypatch.setattr("belljar.ledger.export.sarif._MOST_RULES", 2)
    log = of(*({"id": f"rule-{number}"} for number in range(4)))["runs"][0]
    assert [rule["id"] for rule in log["tool"]["driver"]["rules"]] == ["rule-0", "rule-1"]
    assert [result["ruleId"] for result in log["results"]] == [f"rule-{n}" for n in range(4)]
    assert ["ruleIndex" in result for result in log["results"]] == [True, True, False, False]
