"""Where the links on the way to a program's files lead, as they stand at the end."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from belljar.report import links
from belljar.report.links import leading
from belljar.report.summary import Summary


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "real/sub").mkdir(parents=True)
    (tmp_path / "real/file").write_text("x")
    (tmp_path / "data").symlink_to("real")
    (tmp_path / "real/inner").symlink_to("sub")
    (tmp_path / "far").symlink_to("/etc/hostname")
    (tmp_path / "nowhere").symlink_to("gone")
    return tmp_path


def test_the_outermost_link_of_each_path_is_told_once(place: Path) -> None:
    at = str(place)
    paths = ["data/file", "data/other", "data/inner/x", "real/inner/y", "real/file", "far", "none"]
    assert leading([f"{at}/{path}" for path in paths]) == {
        f"{at}/data": f"{at}/real",
        f"{at}/real/inner": f"{at}/real/sub",
        f"{at}/far": "/etc/hostname",
    }
    assert leading([f"{at}/nowhere"]) == {f"{at}/nowhere": f"{at}/gone"}


def test_the_systems_own_and_what_is_no_path_are_left_out() -> None:
    assert leading(["/proc/self/exe", "/dev/stdin", "/bin/sh", "relative", "/a\0b", ""]) == {}


def test_a_file_system_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    real, answers = links.os.lstat, threading.Event()
    monkeypatch.setattr(links, "_PATIENCE", 0.05)

    def slow(path: str) -> object:
        if path.endswith("/slow"):
            answers.wait(60)
        return real(path)

    monkeypatch.setattr(links.os, "lstat", slow)
    begun = time.monotonic()
    found = leading([f"{place}/data", f"{place}/slow", f"{place}/far"])
    assert time.monotonic() - begun < 30
    assert found == {f"{place}/data": f"{place}/real"}
    answers.set()


def test_there_is_an_end_to_looking(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(links, "_MOST_LOOKS", 3)
    assert leading([f"{place}/data"]) == {}


def test_the_summary_has_a_row_for_whoever_went_through_them(place: Path) -> None:
    summary = Summary(str(place))
    (place / "esc\x1b").symlink_to("real")
    summary.packages.begins(7, runs=True)
    for label, effect in (
        ("", ("count", "read", f"{place}/data/file")),
        ("", ("write", f"{place}/far")),
        ("", ("delete", f"{place}/esc\x1b/old")),
        ("quiet 1", ("count", "read", f"{place}/real/file")),
    ):
        summary.packages.apply(7, 7, label, effect)
    text = "\n".join(summary.lines())
    assert "  links    ./data to ./real, ./esc\\x1b to ./real, ./far to /etc/hostname\n" in text
    assert text.count("  links ") == 1
