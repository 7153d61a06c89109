"""`belljar log` where its output cannot go, and where a machine reads it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from belljar.cli import log
from belljar.cli.log_examples import EXAMPLES

from .everything import make

CODE = "import sys; from belljar.cli import main; sys.exit(main())"
READERS = (
    ["tail", "-n", "1000"], ["tail", "--json"], ["show", "1"], ["show", "1", "--json"],
    ["query", "FROM entries"], ["query", "FROM entries", "--json"],
    ["query", "FROM entries", "--csv"], ["export", "--format", "jsonl"],
    ["export", "--format", "ocsf"], ["export", "--format", "sarif"],
)  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = str(tmp_path_factory.mktemp("ledgers") / "ledger")
    make(directory)
    return directory


def shell(how: str, argv: list[str], directory: str) -> subprocess.CompletedProcess[str]:
    """The command in a shell, with `how` behind it: redirections, a pipe."""
    place = argv.index("--json") if "--json" in argv else len(argv)
    words = ["log", *argv[:place], directory, *argv[place:]]
    line = f'set -o pipefail; "$0" "$@" {how}'
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, "-c", CODE, *words],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    done.stderr = re.sub(r"belljar: indexing: .*\n", "", done.stderr)  # on a busy machine
    return done


@pytest.mark.parametrize("argv", READERS)
def test_a_full_disk_is_one_line_and_one(everything: str, argv: list[str]) -> None:
    done = shell("> /dev/full", argv, everything)
    said = "belljar: cannot write the answer: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("argv", READERS)
def test_a_closed_output_is_one_line_and_one(everything: str, argv: list[str]) -> None:
    done = shell(">&-", argv, everything)
    assert (done.returncode, done.stderr) == (
        1,
        "belljar: cannot write the answer: standard output is closed\n",
    )


@pytest.mark.parametrize("argv", READERS)
def test_a_reader_that_has_enough_ends_it_quietly(everything: str, argv: list[str]) -> None:
    done = shell("| head -c 1", argv, everything)
    assert (done.returncode, done.stderr, len(done.stdout)) == (0, "", 1)


@pytest.mark.parametrize("argv", READERS[:5])
def test_a_closed_error_stream_changes_nothing(everything: str, argv: list[str]) -> None:
    done = shell("2>&- | tail -c 1", argv, everything)
    assert (done.returncode, done.stdout) == (0, "\n")
    done = shell("2>&-", ["show", "100000"], everything)
    assert (done.returncode, done.stdout) == (1, "")


def test_what_verify_found_is_not_yes_when_nobody_reads_it(everything: str) -> None:
    assert shell("> /dev/full", ["verify"], everything).returncode == 1
    code = "from belljar.cli import log; import sys\nsys.exit(log._written(lambda: fail()))\n"
    gone = "def fail():\n raise BrokenPipeError\n"
    done = subprocess.run([sys.executable, "-c", gone + code], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    "argv",
    [
        ["tail", "--json"], ["show", "1", "--json"], ["query", "SELECT 1", "--json"],
        ["prune", "--before", "2026-01-01", "--json"], ["verify", "--json"],
        ["export", "--format", "jsonl", "-o", "x", "--json"],
    ],
)  # fmt: skip
def test_no_ledger_is_an_object_for_whoever_asked_for_json(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    place = argv.index("--json")
    status = log.main([*argv[:place], str(tmp_path / "none"), *argv[place:]])
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert status == 1
    assert (list(found), found["code"]) == (["error", "code", "status"], "failed")
    assert found["error"].startswith("cannot read the ledger ")
    assert err == f"belljar: {found['error']}\n"
    assert os.listdir(tmp_path) in ([], ["cache"])


@pytest.mark.parametrize(
    ("argv", "status", "code"),
    [
        (["query", "SELEC", "--json"], 2, "usage"), (["show", "x", "--json"], 2, "usage"),
        (["tail", "--json", "--nonsense"], 2, "usage"), (["show", "99999", "--json"], 1, "failed"),
        (["query", "SELECT error('\x1b')", "--json"], 1, "failed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_an_object_too(
    argv: list[str], status: int, code: str, everything: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = argv.index("--json")
    assert log.main([*argv[:place], everything, *argv[place:]]) == status
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["code"], found["status"]) == (code, status)
    assert err.startswith(("belljar: ", "usage: "))
    assert "\x1b" not in out + err


def test_a_flaw_in_the_middle_is_the_last_object(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(ledger) / "ledger.blj"
    data = bytearray(path.read_bytes())
    data[-60] ^= 1
    path.write_bytes(data)
    assert log.main(["tail", "--json", ledger]) == 1
    lines = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert lines[-1]["code"] == "corrupt"


def test_an_interrupt_is_130_but_for_what_goes_on_until_then(
    ledger: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_options: object) -> int:
        raise KeyboardInterrupt

    for name, status in (("tail", 0), ("query", 130), ("prune", 130)):
        monkeypatch.setattr(import_module(f"belljar.cli.log_{name}"), "act", stop)
        argv = {"query": ["SELECT 1"], "prune": ["--before", "2026-01-01"]}.get(name, [])
        assert log.main([name, *argv, ledger]) == status
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", list(log.COMMANDS))
def test_the_help_of_each_command_has_examples_that_can_be_asked(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert log.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    command = import_module(f"belljar.cli.{log.COMMANDS[name][0]}")
    assert EXAMPLES[name]
    for example in EXAMPLES[name]:
        assert f"\n  belljar log {example}\n" in out
        words = shlex.split(example.split(" | ")[0].split(" > ")[0])
        parser = log._parser(name, "")
        command.arguments(parser)
        assert words[0] == name
        parser.parse_intermixed_args(words[1:])
