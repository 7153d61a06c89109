"""Programs that may be run: found in the system's directories, and never scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from belljar.confine.programs import locate
from belljar.errors import PolicyError
from belljar.model import Grant


def run(name: object) -> Grant:
    return Grant("run", str(name), "policy.toml:5")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "tool"
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
    return path


def test_a_program_is_found_by_its_path(program: Path) -> None:
    assert locate(run(program)) == (str(program), str(program))


def test_a_link_keeps_its_name_and_pins_what_it_points_to(program: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to("tool")
    (tmp_path / "folder").symlink_to(".")
    assert locate(run(tmp_path / "folder/alias")) == (str(tmp_path / "alias"), str(program))


def test_a_bare_name_is_never_looked_up_in_the_callers_path(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.rename(program.with_name("belljar-tool"))
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(PolicyError, match=r"^policy\.toml:5: run = belljar-tool: no such program"):
        locate(run("belljar-tool"))
    assert locate(run("env"))[1].startswith("/usr/")


@pytest.mark.parametrize("first", [b"#!/bin/sh\n", b"#!", b"#! /usr/bin/env python3\n"])
def test_a_script_is_refused(program: Path, first: bytes) -> None:
    program.write_bytes(first)
    with pytest.raises(PolicyError, match=r"^policy\.toml:5: .*: a script; grant the program"):
        locate(run(program))


def test_a_link_to_a_script_is_refused(program: Path, tmp_path: Path) -> None:
    program.write_bytes(b"#!/bin/sh\n")
    (tmp_path / "alias").symlink_to(program)
    with pytest.raises(PolicyError, match=r"a script"):
        locate(run(tmp_path / "alias"))


def test_what_cannot_be_executed_is_refused(program: Path) -> None:
    program.chmod(0o644)
    with pytest.raises(PolicyError, match=r"is not executable$"):
        locate(run(program))


def test_a_directory_and_a_missing_file_are_no_programs(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(PolicyError, match=r"no such program$"):
            locate(run(path))
