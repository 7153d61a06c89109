"""Files of rules: what they may hold, and that a misspelt rule never passes for a quiet one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from belljar.errors import PolicyError
from belljar.model import Rule
from belljar.policy import digest, explain, json_schema
from belljar.policy.file import parse
from belljar.policy.plain import from_plain, to_plain
from belljar.policy.rulefile import parse_rules
from belljar.policy.rules import load_rules

WHOLE = """\
schema = 1

[[rule]]
id = "mine"
text = "what it means"
match = { event = ["open", "shop.*"], target = ["*/x", "!*/y"], stack = "*", package = "!pip" }
after = { right = "connect" }
then = "deny"

[[rule]]
match.shadows = "json"
then = "alert"
"""
RULES = (
    Rule(
        ("open", "shop.*"), ("*/x", "!*/y"), "*", "deny", "my.toml:3", "!pip", "*", "mine",
        "what it means", "", Rule(right="connect", origin="my.toml:7"),
    ),
    Rule(shadows="json", then="alert", origin="my.toml:10"),
)  # fmt: skip


def test_a_file_of_rules_means_what_it_says(tmp_path: Path) -> None:
    assert parse_rules(WHOLE, "my.toml") == RULES
    assert parse("schema = 1\n" + WHOLE.partition("\n")[2], "my.toml", "/").rules == RULES
    assert parse_rules("schema = 1\n", "my.toml") == ()
    path = tmp_path / "my.toml"
    path.write_text(WHOLE)
    assert [rule.origin for rule in load_rules(str(path))] == [f"{path}:3", f"{path}:10"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "r.toml:1: schema is missing: write schema = 1"),
        ("schema = 2", "r.toml:1: schema 2 is unknown; this Belljar reads 1"),
        (
            "schema = 1\n[files]\nread = []",
            "r.toml:2: a file of rules holds schema and [[rule]] only, not 'files'",
        ),
        ("schema = 1\nrule = 3", "r.toml:2: rule: expected [[rule]] tables, got 3"),
        ("schema = 1\nrule = [3]", "r.toml:2: rule: expected a table, got 3"),
        ("schema = 1\n[[rule]\n", "r.toml:2: not TOML: "),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_rules(text, "r.toml")
    assert str(caught.value).startswith(message)


def test_a_file_that_is_not_there_is_a_policy_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read: No such file"):
        load_rules(str(tmp_path / "none.toml"))


def test_the_schema_knows_what_a_rule_may_say() -> None:
    rule = json.loads(json.dumps(json_schema()))["properties"]["rule"]["items"]["properties"]
    assert set(rule) == {"match", "after", "then", "id", "text"}
    assert set(rule["match"]["properties"]) == {
        "event", "target", "right", "package", "stack", "shadows",
    }  # fmt: skip


def test_a_policy_with_rules_is_explained_kept_and_told_apart() -> None:
    policy = parse(WHOLE, "my.toml", "/")
    rows = [row for row in explain(policy) if row[0] == "rule"]
    assert rows == [
        (
            "rule",
            "event open or shop.*, target */x or !*/y, right *, package !pip, "
            "after (event *, target *, right connect): deny",
            "my.toml:3",
        ),
        ("rule", "event *, target *, right *, shadows json: alert", "my.toml:10"),
    ]
    assert from_plain(to_plain(policy)) == policy
    changed = policy.replace(rules=(RULES[0].replace(after=None), RULES[1]))
    renamed = policy.replace(rules=(RULES[0].replace(id="other", text="y"), RULES[1]))
    assert digest(policy) == digest(renamed) != digest(changed)
