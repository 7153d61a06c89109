"""`belljar policy`: output and exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from belljar.cli.policy import USAGE, main


def test_a_right_policy_is_ok_and_a_wrong_one_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("p.toml").write_text('schema = 1\n[files]\nread = ["data"]\n')
    assert main(["check", "p.toml"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("ok: p.toml: 1 grant, digest ")
    assert err == ""
    Path("p.toml").write_text('schema = 1\n[files]\nread = ["a\\u001b[31m", ""]\n')
    assert main(["check", "p.toml"]) == 1
    assert capsys.readouterr() == (
        "",
        "belljar: p.toml:3: files.read: "
        "expected a string that is not empty and has no NUL, got ''\n",
    )


def test_an_explanation_is_a_table_without_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.toml"
    path.write_text('schema = 1\n[files]\nread = ["/a\\u001b[31m"]\n')
    assert main(["explain", str(path)]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.split() == ["files.read", "/a\\x1b[31m", f"{path}:3"]
    assert any(line.split() == ["limits.memory", "1GiB", "default"] for line in rest)
    assert main(["explain", str(tmp_path / "none")]) == 1


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Belljar policy"


@pytest.mark.parametrize("argv", [[], ["check"], ["schema", "x"], ["what", "x"]])
def test_anything_else_is_a_usage_error(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert capsys.readouterr() == ("", USAGE)
