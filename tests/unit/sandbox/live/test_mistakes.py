"""Mistakes of whoever makes a sandbox are told at once, before anything starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import belljar
from belljar.sandbox.live.streaming import _next, check_plain
from belljar.watch.sweep import sweep


async def nobody_awaits(*_heard: object) -> None:
    return


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"argv": "a b"}, "argv= is a list of words"),
        ({"template": "numpy"}, "template= is a belljar.Template, not str"),
        ({"on_output": nobody_awaits}, "on_output= is called, not awaited"),
        ({"on_denial": nobody_awaits}, "on_denial= is called, not awaited"),
        ({"stdout": nobody_awaits}, "stdout= is called, not awaited"),
    ],
)
def test_a_keyword_of_the_wrong_kind_is_a_type_error(keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        belljar.Sandbox(ledger="none", **keywords)


def test_modules_of_a_template_are_a_list() -> None:
    with pytest.raises(TypeError, match="modules= is a list of names"):
        belljar.Template(modules="json")


def test_plain_functions_and_objects_that_are_called_pass() -> None:
    check_plain(on_output=print, on_denial=None, stdin=[].pop)


def test_input_ends_as_iterators_end() -> None:
    pieces = iter(["a"])
    assert [_next(pieces.__next__), _next(pieces.__next__)] == ["a", None]


def test_an_empty_directory_of_a_killed_host_is_swept(tmp_path: Path) -> None:
    old, new = (tmp_path / f"belljar-{number * 9}" for number in ("0a", "0b"))
    for folder in (old, new):
        folder.mkdir(mode=0o700)
    os.utime(old, (0, 0))
    sweep(str(tmp_path))
    assert (old.exists(), new.exists()) == (False, True)
