"""Where the answer cannot be written: one line, a status of its own, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[2] / "tools" / "belljar"


def full(
    *words: str, errors: int = subprocess.PIPE, unbuffered: str = ""
) -> subprocess.CompletedProcess[str]:
    with open("/dev/full", "w") as out:
        return subprocess.run(
            [sys.executable, COMMAND, *words], stdout=out, stderr=errors, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                 "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip


@pytest.mark.parametrize(
    "words", [["events"], ["events", "--json"], ["--version"], ["--help"], ["run", "--help"]]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_one_line(words: list[str], unbuffered: str) -> None:
    done = full(*words, unbuffered=unbuffered)
    assert done.stderr == "belljar: cannot write the answer: No space left on device\n"
    assert done.returncode == 125


def test_one_behind_both_is_a_status() -> None:
    with open("/dev/full", "w") as errors:
        assert full("events", errors=errors.fileno()).returncode == 125
        assert full("no-such-command", errors=errors.fileno()).returncode == 2


def test_another_error_of_the_system_is_still_a_defect() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv.pop(1).split(':')\n"
        "from belljar import cli\n"
        "from belljar.cli import events\n"
        "def broken(_words): raise OSError(5, 'Input/output error')\n"
        "events.main = broken\n"
        "sys.argv[1:] = ['events']\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, ":".join(filter(None, sys.path))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 125
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("this is a defect of belljar itself; please report it\n")
