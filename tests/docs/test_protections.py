"""docs/protections.md says what the code says, tier by tier."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from belljar.cli import doctor
from belljar.confine.status import MUST_BE_FULL, NAMES, status
from belljar.confine.table import ATTEMPTS, COLUMNS
from belljar.confine.table import usual as facts
from belljar.model import Grant, Limits, Policy

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protections.md").read_text("utf-8")
CONNECT = Policy(grants=(Grant("connect", "tcp:127.0.0.1:80", "--connect"),))


def rows() -> dict[str, list[str]]:
    found = {}
    for line in PAGE.splitlines():
        match = re.match(r"\| `([a-z-]+)` \|", line)
        if match and line.count("|") == 6 + len(COLUMNS):
            found[match[1]] = [cell.strip() for cell in line.strip("|").split("|")]
    return found


def test_the_doctor_has_words_for_every_attempt_of_the_probe() -> None:
    source = (ROOT / "src" / "belljar" / "_native" / "probe.c").read_text("utf-8")
    tried = re.findall(r'\{"([a-z]+)", try_', source)
    assert sorted(tried) == sorted(ATTEMPTS)


def test_the_doctor_exits_with_1_where_too_little_is_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weak = facts("landlock").replace(why=("user: user-namespace: Operation not permitted (x)",))
    weak.tried["tcp"] = (0, 0)
    monkeypatch.setattr(doctor, "probe", lambda cache, tier: weak)
    assert doctor.main([]) == 1
    page = capsys.readouterr().out
    assert "connect to 127.0.0.1                          works       works  got through" in page
    assert "for tier user: allow unprivileged user namespaces" in page
    assert page.endswith("not enough: network\n")
    assert "  files                         full       full       full       full\n" in page
    assert doctor.main(["--json"]) == 1
    assert json.loads(capsys.readouterr().out)["missing"] == ["network"]


def test_the_apparmor_profile_is_for_the_keeper_alone() -> None:
    lines = (ROOT / "units" / "belljar-keeper.apparmor").read_text("utf-8").splitlines()
    told = [line for line in lines if not line.startswith("#")]
    paths = [line.split()[-1] for line in told if line.startswith("@{belljar_keeper}")]
    assert len(paths) == 2
    for path in paths:
        assert path.endswith("/belljar/_native/belljar-keeper")
        assert path.startswith(("/usr/", "/opt/")), "only root may write there"
    assert "profile belljar-keeper @{belljar_keeper} flags=(unconfined) {" in told
    assert "  userns," in told


def test_every_protection_has_one_row_and_no_row_is_invented() -> None:
    assert sorted(rows()) == sorted(NAMES)


def test_the_page_is_what_the_code_declares() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "protections_page.py")],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert made.stdout.decode() == PAGE, "run tools/protections_page.py --write"


@pytest.mark.parametrize("column", range(len(COLUMNS)))
def test_levels_of_the_page_are_those_of_the_code(column: int) -> None:
    for name, cells in rows().items():
        fewer = Policy(block=("xml",), builtins="bare", overlay=("/srv",))
        policy = CONNECT if name == "connections" else fewer
        assert cells[4 + column] == status(policy, facts(COLUMNS[column][1])).level(name), name


def test_a_row_that_is_not_full_everywhere_says_why() -> None:
    for name, cells in rows().items():
        levels = cells[4 : 4 + len(COLUMNS)]
        assert (set(levels) == {"full"}) == (cells[4 + len(COLUMNS)] == ""), name


def test_files_network_and_processes_are_full_on_every_tier() -> None:
    for name in MUST_BE_FULL:
        assert set(rows()[name][4 : 4 + len(COLUMNS)]) == {"full"}, name


def test_the_page_names_what_must_be_full() -> None:
    named = re.search(r"^(`files`.*?) must be full", PAGE, re.M | re.S)
    assert named is not None
    assert tuple(re.findall(r"`([a-z-]+)`", named[1])) == MUST_BE_FULL


def test_what_a_policy_changes_is_so() -> None:
    for tier in ("root", "user"):
        here = facts(tier)
        assert status(Policy(stdout="inherit"), here).level("output") == "partial"
        assert status(Policy(names="visible"), here).level("names") == "none"
        assert status(Policy(extensions="all"), here).level("extensions") == "none"
        several = Policy(limits=Limits(processes=2))
        assert status(several, here).level("threads") == "partial"
        assert status(Policy(net_info=True), here).level("net-info") == "none"
        assert status(CONNECT, here).level("net-info") == "partial"


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_that_gets_through_is_never_full(attempt: str) -> None:
    here = facts("root")
    here.tried[attempt] = (0, 0)
    levels = {row.name: row.level for row in status(Policy(), here).protections}
    whole = {row.name: row.level for row in status(Policy(), facts("root")).protections}
    assert levels != whole, attempt
