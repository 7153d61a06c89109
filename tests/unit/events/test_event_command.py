"""`belljar events`: output and exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from belljar import catalogue
from belljar.cli.events import USAGE, main
from belljar.events.catalogue import CATEGORIES


def test_the_table_has_every_event_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == sorted(
        entry.name for entry in catalogue.entries()
    )
    headings = [line for line in lines if not line.startswith("  ")]
    assert headings == [kind for kind in CATEGORIES if kind != "application"]


def test_one_event_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sqlite3.connect"]) == 0
    assert capsys.readouterr().out == (
        "event      sqlite3.connect\n"
        "category   file\n"
        "arguments  database: str | bytes | object\n"
        "right      read on database\n"
        "versions   all\n"
        "platforms  linux, macos, windows\n"
        "besides    sqlite3.connect/handle is raised for the same\n"
        "lie        ATTACH and VACUUM INTO open further files without a word\n"
        "note       SQLite opens for writing and falls back to reading; ATTACH raises nothing; "
        "URIs: no target\n"
        "silent     sqlite-attach: ATTACH DATABASE in sqlite3\n"
        "silent     sqlite-vacuum-into: VACUUM INTO in sqlite3\n"
    )


def test_an_event_that_a_package_at_hand_declares_is_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "belljar.toml").write_text(
        'schema = 1\n[event."bank.pay"]\narguments = ["to: str | None", "cents: int"]\n'
        'target = "to"\nnote = "before the money moves"\n'
    )
    (tmp_path / "bank-1.2.dist-info").mkdir()
    entry = "[belljar.events]\nbank = bank:belljar.toml\n"
    (tmp_path / "bank-1.2.dist-info" / "entry_points.txt").write_text(entry)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert main(["bank.pay"]) == 0
    assert capsys.readouterr().out == (
        "event      bank.pay\n"
        "category   application\n"
        "arguments  to: str | None\n"
        "           cents: int\n"
        "right      none\n"
        "target     to\n"
        "versions   all\n"
        "platforms  linux\n"
        "note       declared by bank 1.2: before the money moves\n"
    )
    assert main(["bank.refund"]) == 1
    assert "no event bank.refund in the catalogue" in capsys.readouterr().err


def test_what_pep_578_promised_is_shown_with_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setopencodehook"]) == 0
    assert "promised as cpython.PyFile_SetOpenCodeHook: never under" in capsys.readouterr().out
    assert main(["--pep578"]) == 0
    out = capsys.readouterr().out
    assert out.count("table 1") == 11
    assert out.count("table 2") == 12
    assert "never under this name; socket.bind" in out


def test_silences_are_shown_with_what_covers_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--silences", "--version", "3.14"]) == 0
    out = capsys.readouterr().out
    assert "tls-files" in out
    assert "covered  belljar run: files, cross-check: open" in out
    assert "readline-files" not in out


def test_a_version_narrows_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version", "3.11"]) == 0
    old = capsys.readouterr().out
    assert main(["--version=3.14"]) == 0
    new = capsys.readouterr().out
    assert "telnetlib.Telnet.open" in old
    assert "telnetlib.Telnet.open" not in new
    assert "ctypes.memoryview_at" not in old
    assert "ctypes.memoryview_at" in new
    assert main(["time.sleep", "--version", "3.11"]) == 0
    assert "not in 3.11" in capsys.readouterr().out


def test_the_json_has_a_schema_and_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["os.rename", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    assert found["version"] is None
    assert list(found["event"]) == [
        "name", "category", "signatures", "right", "target", "versions", "platforms", "doubles",
        "lies", "note", "pep578", "silences",
    ]  # fmt: skip
    assert found["event"]["target"] == "dst"
    assert found["event"]["signatures"][0]["arguments"][0] == {
        "name": "src", "types": ["str", "bytes", "object"],
    }  # fmt: skip
    for option, key, count in (
        ([], "events", len(catalogue.entries())),
        (["--silences"], "silences", len(catalogue.silences())),
        (["--pep578"], "pep578", 23),
    ):
        assert main([*option, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)[key]) == count


def test_a_version_that_the_catalogue_does_not_know_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--version", "3.9"]) == 2
    assert capsys.readouterr().err == (
        "belljar: no version '3.9' in the catalogue: 3.11, 3.12, 3.13, 3.14, 3.15\n"
    )


def test_an_unknown_event_gets_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["os.renam\x1b"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("belljar: no event os.renam\\x1b in the catalogue; near: os.rename")
    assert err.count("\n") == 1


def test_anything_else_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-x"]) == 2
    assert main(["a", "b"]) == 2
    assert main(["a", "--silences"]) == 2
    assert main(["--version"]) == 2
    assert capsys.readouterr().err == USAGE * 4
