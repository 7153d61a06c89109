"""`belljar events`: output and exit status."""

from __future__ import annotations

import pytest

from belljar.cli.events import USAGE, main
from belljar.events.catalogue import CATEGORIES, ROWS


def test_the_table_has_every_event_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == sorted(
        row[0] for row in ROWS
    )
    assert [line for line in lines if not line.startswith("  ")] == list(CATEGORIES)


def test_one_event_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["socket.connect"]) == 0
    assert capsys.readouterr().out == (
        "event      socket.connect\n"
        "category   network\n"
        "arguments  self, address\n"
        "right      connect on address\n"
        "versions   all\n"
        "note       the event does not tell TCP from UDP\n"
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
    assert capsys.readouterr().err == USAGE * 2
