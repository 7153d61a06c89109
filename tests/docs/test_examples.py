"""Every example in the README and in docs/ is run, or loaded, and does what the page says."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples import Block, House, blocks, commands, missing, neutral, pages

from belljar.policy import load

PAGES = {page.name: page for page in pages()}
KNOWN = ("c", "console", "ini", "json", "python", "sh", "sql", "text", "toml")


def of_language(language: str) -> list[Block]:
    return [b for page in PAGES.values() for b in blocks(page) if b.language == language]


def name(block: Block) -> str:
    return f"{block.page}:{block.line}"


@pytest.fixture
def house(images: Path) -> Iterator[House]:
    # not beneath /tmp: there the guest's private /tmp would move (docs/run.md)
    place = Path(tempfile.mkdtemp(prefix="belljar-docs-", dir="/var/tmp"))
    place.chmod(0o755)
    one = House(place, images)
    yield one
    one.clear()


@pytest.mark.parametrize("page", [p for p in PAGES if any(
    b.language == "console" for b in blocks(PAGES[p]))])  # fmt: skip
def test_sessions_print_what_the_page_says(page: str, house: House) -> None:
    wrong = []
    for block in blocks(PAGES[page]):
        if block.file is not None:
            house.write(block)
        elif block.language == "console":
            for command in commands(block):
                gaps = missing(command.expected, house.run(command.text))
                if gaps:
                    wrong.append("\n".join([f"{name(block)}: $ {command.text}", *gaps]))
    assert not wrong, "\n\n".join(["", *wrong])


@pytest.mark.parametrize("block", of_language("toml"), ids=name)
def test_policies_of_the_pages_are_right(block: Block, tmp_path: Path) -> None:
    file = tmp_path / ("pyproject.toml" if "[tool.belljar" in block.text else "policy.toml")
    text = block.text
    if "[tool.belljar" not in text and "schema" not in text:
        text = "schema = 1\n" + text
    file.write_text(text, "utf-8")
    load(str(file))


def test_python_of_the_pages_runs_or_is_a_file_of_a_session(tmp_path: Path) -> None:
    for block in of_language("python"):
        compile(block.text, name(block), "exec")
        if block.file is None:
            run = subprocess.run(
                [sys.executable, "-c", block.text], cwd=tmp_path, env=dict(os.environ),
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert run.returncode == 0, f"{name(block)}: {run.stderr}"


def test_every_block_has_a_language_that_is_checked_or_plain_text() -> None:
    for page in PAGES.values():
        for block in blocks(page):
            assert block.language in KNOWN, name(block)
        fences = page.read_text("utf-8").count("\n```")
        assert fences == 2 * len(blocks(page)), f"{page.name}: a fence without a language"


def test_a_wrong_example_would_be_noticed() -> None:
    assert missing(["two"], ["one", "two"]) == ["+ one"]
    assert missing(["one", "..."], ["two"]) == ["- one"]
    assert missing(["a ... #12", "b"], ["b", "a long   way #7"]) == []
    assert neutral("record #412  run 0a1b2c3d") == "record #N run ID"
