"""A process that outlives the watch is free, but not to do what had to wait for an answer."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

RULES = """schema = 1
[[rule]]
match = { event = "os.remove", target = "*/victim" }
then = "deny"
"""
LATE = """
import os, sys, time
victim, said = sys.argv[1:]
if os.fork() == 0:
    os.setsid()
    while os.path.exists(said + ".wait"):
        time.sleep(0.01)
    try:
        os.remove(victim)
        text = "removed"
    except PermissionError:
        text = "refused"
    with open(said + ".new", "w") as file:
        file.write(text)
    os.rename(said + ".new", said)
    os._exit(0)
"""


def late(tmp_path: Path, *options: str) -> str:
    victim, said, wait = tmp_path / "victim", tmp_path / "said", tmp_path / "said.wait"
    victim.touch()
    wait.touch()
    script = tmp_path / "late.py"
    script.write_text(LATE)
    command = [sys.executable, "-c", "from belljar.cli import main; main()", "watch", "--quiet"]
    command += ["--ledger", "none", "--rules", "none", *options]
    command += [str(script), str(victim), str(said)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
    wait.unlink()  # the watch is over
    deadline = time.monotonic() + 30
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return said.read_text()


def test_without_a_rule_it_goes_on_unrecorded(tmp_path: Path) -> None:
    assert late(tmp_path) == "removed"


def test_what_a_rule_would_have_judged_is_refused(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    assert late(tmp_path, "--rules", str(rules)) == "refused"
    assert (tmp_path / "victim").exists()
