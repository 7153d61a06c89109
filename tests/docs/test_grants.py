"""docs/grants.md has a row for each key that grants or limits, and the cases it names are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from belljar.errors import PolicyError
from belljar.model import Policy
from belljar.policy.keys import GRANTING, KEYS, Key
from belljar.policy.keywords import from_keywords

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PAGE = (ROOT / "docs" / "grants.md").read_text("utf-8")
ROWS = {
    match[1]: [cell.strip() for cell in match[0].strip("|").split("|")]
    for match in re.finditer(r"^\| `([a-z]+\.[a-z-]+)` \|.*\|$", PAGE, re.M)
}
ROOMS = ("files", "network", "modules", "process", "limits")
TOLD = {key.dotted: key for key in KEYS if key.section in ROOMS}


def flags(case: str) -> list[str]:
    given = tomllib.loads((TESTS / "escape" / case / "case.toml").read_text("utf-8"))
    return [str(word) for word in given.get("flags", ())]


def test_every_key_that_grants_or_limits_has_one_row_in_the_order_of_the_policy() -> None:
    assert list(ROWS) == list(TOLD)
    assert {key.dotted for key in KEYS if key.kind in GRANTING} <= set(ROWS)
    assert len(re.findall(r"^\| `[a-z]+\.", PAGE, re.M)) == len(ROWS)


@pytest.mark.parametrize("key", TOLD.values(), ids=lambda key: key.dotted)
def test_a_row_names_its_flag_and_keyword_and_leaves_no_cell_empty(key: Key) -> None:
    cells = ROWS[key.dotted]
    assert len(cells) == 8
    assert all(cells), "an empty cell says nothing"
    assert cells[1] == f"`--{key.name}`"
    keyword = cells[2].strip("`").removesuffix("=")
    assert keyword.removesuffix("_").replace("_", "-") == key.name
    with pytest.raises(PolicyError) as refused:  # a keyword that is none would be a TypeError
        from_keywords(Policy(), {keyword: object()}, "/srv")
    assert refused.value.place == f"{keyword}="


@pytest.mark.parametrize("key", TOLD.values(), ids=lambda key: key.dotted)
def test_escape_cases_hold_the_grant_unless_they_are_said_to_be_without_it(key: Key) -> None:
    holding, _, without = ROWS[key.dotted][6].partition("without ")
    for case in re.findall(r"`([a-z0-9-]+)`", holding):
        assert f"--{key.name}" in flags(case), case
    for case in re.findall(r"`([a-z0-9-]+)`", without):
        given = flags(case)
        assert f"--{key.name}" not in given, (case, given)


@pytest.mark.parametrize("key", TOLD.values(), ids=lambda key: key.dotted)
def test_honest_cases_use_the_grant_and_stay_within_the_limit(key: Key) -> None:
    told, _, without = ROWS[key.dotted][7].partition("without it ")
    names = re.findall(r"`(\w+\.py)`", told)
    assert names
    for name in names:
        (place,) = TESTS.rglob(name)
        text = place.read_text("utf-8")
        used = (f"--{key.name}", f"{key.field}=", f'"{key.name}"', f"{key.field}_=")
        assert key.section == "limits" or any(word in text for word in used), name
    for name in re.findall(r"`(\w+\.py)`", without):
        text = (TESTS / "honest" / "programs" / name).read_text("utf-8")
        assert f"--{key.name}" not in text
