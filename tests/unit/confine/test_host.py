"""The host as `learn` sees it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from belljar.confine.born import born
from belljar.confine.host import facts, kind
from belljar.confine.program import Program


def test_a_file_is_born_when_it_is_made_and_writing_does_not_change_that(tmp_path: Path) -> None:
    before = time.time_ns() - 10**9
    path = tmp_path / "a"
    path.write_text("x")
    first = born(str(path))
    assert first is not None
    assert before < first < time.time_ns() + 10**9
    os.utime(path, (1, 1))
    path.write_text("y")
    assert born(str(path)) == first


def test_what_is_not_there_was_never_born() -> None:
    assert born("/no/such/file") is None
    assert born("nul\0") is None


def test_kinds_are_told_and_nothing_raises(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to(tmp_path)
    found = [kind(str(tmp_path / name)) for name in ("pipe", "dangling", "link", "x\0y", "x" * 999)]
    assert found == ["other", "", "directory", "", ""]
    assert kind(__file__) == "file"


def test_what_a_run_gives_by_itself_is_known(tmp_path: Path) -> None:
    for name in ("a.py", "beside.py"):
        (tmp_path / name).write_text("")
    program = Program("script", "a.py", (), str(tmp_path), (), sys.executable)
    found, problem = facts(program, time.time_ns() + 10**12, ())
    assert problem == ""
    given = {g.target for g in found.given.grants}
    assert {f"{tmp_path}/a.py", f"{tmp_path}/beside.py", "/dev/null"} <= given
    assert str(tmp_path) not in given
    assert found.folder == str(tmp_path)
    assert found.new(str(tmp_path)) is False
    assert found.owner(os.__file__) == ""
    assert found.owner(str(tmp_path)) is None
    assert found.program("no-such-program-anywhere")[0] == ""
    assert found.program(sys.executable)[0] == os.path.realpath(sys.executable)
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "script").chmod(0o755)
    assert "a script" in found.program(str(tmp_path / "script"))[1]


def test_a_program_that_is_gone_is_told_and_the_rest_is_known(tmp_path: Path) -> None:
    program = Program("script", "gone.py", (), str(tmp_path), (), sys.executable)
    found, problem = facts(program, 0, ())
    assert "gone.py" in problem
    assert found.folder == str(tmp_path)
