"""`belljar apply`: what it lists and shows, as text and as JSON, and what it refuses."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def waiting(
    belljar: Callable, clean_env: dict[str, str], outside_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Callable]:
    """Two changes that wait beneath a directory, and how to ask about them."""
    monkeypatch.setitem(clean_env, "XDG_STATE_HOME", str(outside_tmp / "state"))
    (outside_tmp / "project").mkdir()
    (outside_tmp / "project/old").write_text("old")
    code = "open('project/new\\x1b[2J', 'w').close(); import os; os.remove('project/old')"
    ran = belljar("run", "--overlay", "project", "-c", code, cwd=outside_tmp)
    if ran.status == 125 and "overlay" in ran.stderr:
        pytest.skip("no mount namespace on this machine")
    assert ran.status == 0, ran.stderr

    def apply(*words: str) -> object:
        return belljar("apply", *words, cwd=outside_tmp)

    return outside_tmp, apply


def test_the_list_and_the_changes_are_lines_or_objects(waiting: tuple[Path, Callable]) -> None:
    here, apply = waiting
    name, _, directory = apply().stdout.split()
    assert directory == str(here / "project")
    assert json.loads(apply("--json").stdout)["name"] == name
    shown = apply(name)
    assert (shown.status, shown.stdout) == (0, "A new\\x1b[2J\nD old\n")
    rows = [json.loads(line) for line in apply("last", "--json").stdout.splitlines()]
    assert [(row["kind"], row["path"]) for row in rows] == [
        ("added", "new\x1b[2J"), ("deleted", "old"),
    ]  # fmt: skip
    assert os.listdir(here / "project") == ["old"]


def test_merging_says_what_it_took_over_and_then_nothing_waits(
    waiting: tuple[Path, Callable],
) -> None:
    here, apply = waiting
    done = apply("last", "--merge")
    assert (done.status, done.stdout, done.stderr) == (0, "A new\\x1b[2J\nD old\n", "")
    assert os.listdir(here / "project") == ["new\x1b[2J"]
    assert apply().stdout == ""
    assert apply("last").status == 125


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--merge", "--drop", "last"], 2, "one of --merge, --drop"),
        (["a", "b"], 2, "one name"),
        (["--merge"], 2, "of which?"),
        (["--no-such"], 2, "no option --no-such"),
        (["no-such"], 125, "no changes are called no-such"),
        (["../.."], 125, "no changes are called ../.."),
    ],
)
def test_a_mistake_is_one_line(
    belljar: Callable, outside_tmp: Path, words: list[str], status: int, said: str
) -> None:
    done = belljar("apply", *words, cwd=outside_tmp)
    assert (done.status, done.stdout) == (status, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_its_help_names_every_switch(belljar: Callable, outside_tmp: Path) -> None:
    text = belljar("apply", "--help", cwd=outside_tmp).stdout
    for word in ("--merge", "--drop", "--links", "--force", "--json", "last"):
        assert word in text
