"""`belljar watch --cross-check`: the command, its JSON, and the record."""

from __future__ import annotations

import json
import os
import subprocess
import sys


def test_an_interpreter_that_was_not_heard_is_a_finding_all_the_same(tmp_path):
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexit 4\n")
    mute.chmod(0o755)
    code = "import sys; from belljar.cli.watch import main; sys.exit(main(sys.argv[1:]))"
    options = ["--ledger", "none", "--cross-check", "--python", str(mute), "-c", "pass"]
    env = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *options], check=False, capture_output=True, text=True, env=env
    )
    assert done.returncode == 4
    assert "was not recorded" in done.stderr
    assert "programs that are not Python" in done.stderr


def test_the_command_shows_the_coverage_behind_its_summary_and_in_json(tmp_path):
    code = "import sys; from belljar.cli.watch import main; sys.exit(main(sys.argv[1:]))"
    program = "import ctypes; ctypes.CDLL(None).open(b'/etc/hostname', 0); raise SystemExit(3)"
    env = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "HOME": str(tmp_path)}
    argv = [sys.executable, "-c", code, "--ledger", "none", "--cross-check"]
    argv += ["--python", sys.executable]  # a .venv of another version may lie where we are
    done = subprocess.run(
        [*argv, "--events", "ctypes.*", "-c", program],
        check=False, capture_output=True, text=True, env=env,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "    openat /etc/hostname" in done.stderr
    out = tmp_path / "out.json"
    done = subprocess.run(
        [*argv, "--json", "--to", str(out), "-c", program],
        check=False, capture_output=True, text=True, env=env,
    )  # fmt: skip
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    (group,) = [line for line in lines if line["kind"] == "unexplained"]
    assert group["target"] == "/etc/hostname"
    (row,) = [line for line in lines if line["kind"] == "coverage" and line["of"] == "open"]
    assert row["unexplained"] == 1
    told = [line for line in lines if line["kind"] == "syscall"]
    assert row["seen"] == len([line for line in told if line["of"] == "open"])


def test_the_record_keeps_the_calls_and_shows_them(tmp_path):
    code = "import sys; from belljar.cli import main; sys.exit(main())"
    env = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "HOME": str(tmp_path)}
    ledger = str(tmp_path / "ledger")
    for words in (
        [
            "watch",
            "--quiet",
            "--ledger",
            ledger,
            "--cross-check",
            "--",
            "/bin/cat",
            "/etc/hostname",
        ],
        ["log", "verify", ledger],
        ["log", "tail", ledger],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            check=True,
            capture_output=True,
            text=True,
            env=env,
        )
    assert " syscall openat /etc/hostname\n" in done.stdout
    assert "broken" not in done.stdout
