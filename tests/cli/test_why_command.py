"""`belljar why`: an entry of the record, told to the end, safely."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def denied(belljar: Callable, outside_tmp: Path) -> tuple[Path, Callable]:
    """A ledger with one denial, and how to ask about it."""
    (outside_tmp / "data").mkdir()
    (outside_tmp / "secret").write_text("s")
    (outside_tmp / "job.py").write_text(
        "import json\ndef load(path):\n    return open(path)\n"
        "for name in sys.argv[1:] if (sys := __import__('sys')) else ():\n"
        "    try:\n        load(name)\n    except OSError:\n        pass\n"
    )
    secret = str(outside_tmp / "secret")
    belljar(
        "run", "--ledger", outside_tmp / "ledger", "--read", "data", "job.py", secret,
        cwd=outside_tmp,
    )  # fmt: skip

    def why(*words: object) -> object:
        return belljar("why", *words, outside_tmp / "ledger", cwd=outside_tmp)

    return outside_tmp, why


def test_the_newest_denial_is_told_to_the_end(denied: tuple[Path, Callable]) -> None:
    here, why = denied
    shown = why()
    assert shown.status == 0
    head, *rest = shown.stdout.splitlines()
    assert re.fullmatch(rf"#\d+: denied\[read\]: {here}/secret", head)
    told = {line.split()[0]: line for line in rest if line[2:3].strip()}
    assert "script job.py" in told["record"]
    assert "/box/job.py:3 in load" in told["at"]
    assert "no grant covers it" in told["because"]
    assert f"--read {here}/data: the path is not beneath it: they part at {here}" in shown.stdout
    assert "window: the hook inside raised" in told["enforced"]
    assert "files full:" in shown.stdout
    assert f"--read {here}/secret" in told["allow"]
    assert f'[files] read = ["{here}/secret"]' in shown.stdout
    assert len(re.findall(r"^  (?:before|after|      ) +#\d+ ", shown.stdout, re.M)) >= 4


def test_the_denial_is_found_by_its_number_and_as_json(denied: tuple[Path, Callable]) -> None:
    here, why = denied
    number = why().stdout.partition(":")[0]
    assert why(number).stdout == why(number.removeprefix("#")).stdout == why().stdout
    told = json.loads(why("--json").stdout)
    assert told["decision"]["target"] == f"{here}/secret"
    assert told["event"]["data"]["name"] == "open"
    assert told["considered"][0]["origin"] == "--read"
    assert next(row[:2] for row in told["receipt"]) == ["files", "full"]
    seqs = [e["seq"] for e in (*told["before"], told["event"], *told["after"])]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert len(told["before"]) == 3


def test_a_rule_of_a_watched_run_is_told_though_its_file_is_gone(
    belljar: Callable, outside_tmp: Path
) -> None:
    rules = outside_tmp / "mine.toml"
    rules.write_text(
        'schema = 1\n[[rule]]\nmatch = { event = "app.*", package = ["a", "the program"] }\n'
        'after = { event = "import" }\nthen = "alert"\n'
    )
    code = "import json, sys; sys.audit('app.go')"
    belljar("watch", "--ledger", "kept", "--rules", rules, "-c", code, cwd=outside_tmp)
    rules.unlink()
    shown = belljar("why", "kept", cwd=outside_tmp).stdout
    assert "matches event app.*, package a or the program\n" in shown
    assert "after event import\n" in shown


def test_an_entry_that_is_no_decision_is_explained_by_the_catalogue(
    denied: tuple[Path, Callable],
) -> None:
    _, why = denied
    number = json.loads(why("--json").stdout)["event"]["entry"]
    shown = why(number).stdout
    assert shown.startswith(f"#{number}: event\n")
    assert "catalogue  file; needs read on path" in shown
    assert "silent" in shown
    assert why(1).stdout.startswith("#1: start\n")


def test_a_rule_that_fired_is_named_with_its_place(belljar: Callable, outside_tmp: Path) -> None:
    (outside_tmp / "a.txt").write_text("")
    (outside_tmp / "p.toml").write_text(
        'schema = 1\n[files]\nread = ["a.txt"]\n[[rule]]\n'
        'match = { right = "read", target = "*/a.txt" }\nthen = "alert"\n'
    )
    words = ("--ledger", outside_tmp / "ledger", "--policy", "p.toml", "-c", "open('a.txt')")
    assert belljar("run", *words, cwd=outside_tmp).status == 0
    shown = belljar("why", outside_tmp / "ledger").stdout
    assert re.match(rf"#\d+: alert\[read\]: {outside_tmp}/a.txt", shown)
    assert re.search(r"rule +p\.toml:4", shown)
    assert "matches" in shown
    assert "nothing was refused" in shown


def test_a_credential_comes_with_a_warning_and_a_path_beside_with_its_host_name(
    belljar: Callable, outside_tmp: Path
) -> None:
    (outside_tmp / ".env").write_text("")
    (outside_tmp / "x.py").write_text("open('.env')\n")
    belljar("run", "--ledger", outside_tmp / "ledger", "x.py", cwd=outside_tmp)
    shown = belljar("why", outside_tmp / "ledger").stdout
    assert "careful: .env holds credentials" in shown
    assert re.search(rf"on host +{outside_tmp}/\.env", shown)


def test_hostile_text_is_escaped(belljar: Callable, outside_tmp: Path) -> None:
    name = "x\x1b[2J\n  allow      --write /"
    (outside_tmp / name).write_text("")
    code = f"open({str(outside_tmp / name)!r})"
    belljar("run", "--ledger", outside_tmp / "ledger", "-c", code, cwd=outside_tmp)
    shown = belljar("why", outside_tmp / "ledger").stdout
    assert "\x1b" not in shown
    assert sum(line.startswith("  allow ") for line in shown.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--bogus",), 2, "unknown option --bogus"),
        (("1", "a", "b"), 2, "one word too many"),
        (("0",), 2, "count from 1"),
        (("99999999999999999999",), 2, "count from 1"),
        (("no-ledger",), 1, "cannot read the ledger"),
    ],
)
def test_mistakes_get_one_line(
    belljar: Callable, words: tuple[str, ...], status: int, says: str
) -> None:
    result = belljar("why", *words)
    assert (result.status, result.stdout) == (status, "")
    assert says in result.stderr


def test_no_such_entry_is_a_no(denied: tuple[Path, Callable]) -> None:
    _, why = denied
    shown = why(123456)
    assert (shown.status, shown.stdout) == (1, "")
    assert "no entry #123456" in shown.stderr


def test_a_ledger_without_denials_has_nothing_to_explain(
    belljar: Callable, outside_tmp: Path
) -> None:
    belljar("run", "--ledger", outside_tmp / "ledger", "-c", "pass", cwd=outside_tmp)
    shown = belljar("why", outside_tmp / "ledger")
    assert (shown.status, "holds no denial" in shown.stderr) == (1, True)
