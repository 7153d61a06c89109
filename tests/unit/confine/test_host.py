"""The host as `learn` sees it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from belljar.confine.born import born
from belljar.confine.host import facts, kind
from belljar.confine.program import Program
from belljar.policy import withhold
from belljar.policy.facts import Facts


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


@pytest.mark.parametrize("name", ["/bin/a\0b", "a\0b", "\0", "/bin/\ud800", "\ud800"])
def test_what_can_be_no_path_is_no_surprise(tmp_path: Path, name: str) -> None:
    found, _ = facts(Program("code", "", (), str(tmp_path), (), sys.executable), 0, ())
    assert found.program(name) == ("", "is no name that a program could have")
    assert (found.real(name), found.kind(name), found.secret(name)) == (name, "", "")
    assert (found.new(name), found.changed(name), found.owner(name)) == (None, None, None)
    assert path("read", found, name)  # withheld


def path(right: str, found: Facts, name: str) -> str:
    return withhold.path(found, right, name, name)


def test_a_secret_is_known_behind_its_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "home" / ".ssh" / "more" / "id_work"
    key.parent.mkdir(parents=True)
    key.write_text("secret")
    work = tmp_path / "work"
    work.mkdir()
    (work / "folder").symlink_to(key.parent)
    (work / "link").symlink_to(key)
    (work / "again").symlink_to("link")
    (work / "home").symlink_to(tmp_path / "home")
    os.link(key, work / "hard")
    (work / "plain").write_text("x")
    os.link(work / "plain", work / "other")
    (work / "proc").symlink_to("/proc/self/environ")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found, _ = facts(Program("code", "", (), str(work), (), sys.executable), 0, ())
    why = {name: path("read", found, str(work / name)) for name in os.listdir(work)}
    leads = f"it leads to {key}: .ssh holds credentials"
    assert why["link"] == why["again"] == leads
    assert "holds credentials" in why["folder"]
    assert why["home"].startswith("it holds ")
    assert why["hard"] == f"it is the same file as {key}: .ssh holds credentials"
    assert "cannot be granted" in why["proc"]
    assert (why["plain"], why["other"]) == ("", "")


def test_what_is_obeyed_is_known_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("")
    (tmp_path / "notes").symlink_to("Makefile")
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").symlink_to("ours")
    program = Program("code", "", (), str(tmp_path), (), sys.executable)
    found, _ = facts(program, 0, (str(tmp_path / "ours"),))
    assert "Makefile" in path("write", found, str(tmp_path / "notes"))
    assert "Belljar's own" in path("write", found, str(tmp_path / "theirs"))
