"""`docs/policy.md` says what the table of keys and the parser say."""

from __future__ import annotations

import re
from pathlib import Path

from belljar.policy.file import parse
from belljar.policy.keys import KEYS
from belljar.policy.modules import SAFE_EXTENSIONS, UNSAFE_MODULES

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "policy.md").read_text()


def test_the_page_has_a_row_for_every_key_and_no_other() -> None:
    rows = re.findall(
        r"^\| `([\w.-]+)` \| `--([\w-]+)` \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE
    )
    assert rows == [(key.dotted, key.name, key.help) for key in KEYS]


def test_the_examples_are_policies() -> None:
    examples = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert examples
    for example in examples:
        assert parse(example, "policy.md", "/srv").grants


def test_the_page_names_every_unsafe_module() -> None:
    assert [name for name in UNSAFE_MODULES if f"`{name}`" not in TEXT] == []


def test_the_safe_set_is_on_its_page() -> None:
    page = (DOCS / "modules.md").read_text("utf-8")
    told = page.partition("## The safe set")[2].partition("What a version has")[0]
    assert set(re.findall(r"`(\w+)`", told)) == SAFE_EXTENSIONS
