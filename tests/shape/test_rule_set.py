"""Each shipped rule is a file, a test and a heading, and says what it needs to say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import belljar
from belljar.policy.rulefile import SHIPPED
from belljar.policy.rules import Rules, shipped

ROOT = Path(__file__).parents[2]
FILES = Path(belljar.__file__).parent / "policy" / "rules"


def test_each_has_its_file_its_test_and_its_heading() -> None:
    names = set(SHIPPED)
    assert {path.stem for path in FILES.glob("*.toml")} == names
    tests = (ROOT / "tests/unit/rules").glob("test_*.py")
    assert {path.stem.removeprefix("test_").replace("_", "-") for path in tests} == names
    page = (ROOT / "docs/rules.md").read_text("utf-8")
    headings = re.findall(r"^### (.*)$", page.partition("## The shipped rules")[2], re.MULTILINE)
    assert set(headings) == names
    assert len(headings) == len(SHIPPED) == len(names)


def test_each_rule_is_named_for_its_file_and_tells_a_person_what_it_means() -> None:
    rules = shipped()
    assert {rule.id for rule in rules} == set(SHIPPED)
    for rule in rules:
        assert rule.origin.startswith(f"shipped/{rule.id}.toml:")
        assert rule.text
        assert rule.then == "alert"  # what refuses, its owner asks for


def test_the_rules_that_are_ready_made_are_those_of_the_files() -> None:
    made = runpy.run_path(str(ROOT / "tools/shipped_rules.py"))
    assert made["TARGET"].read_text("utf-8") == made["page"](), "run tools/shipped_rules.py"
    assert shipped() == made["parse_shipped"]()


def test_shipped_rules_make_nothing_wait() -> None:
    assert Rules(shipped()).asks() == ()


def test_most_opens_are_passed_by_after_a_glance() -> None:
    glance = Rules(shipped()).glance("open")
    assert glance is not None
    assert not glance(b"/usr/lib/python3.11/site-packages/numpy/core/__init__.py")
