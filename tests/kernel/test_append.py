"""`--append`: the guest adds to a file, and can do nothing else with it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tiers import Tier


def belljar(tier: Tier, *words: str) -> tuple[int, str, str]:
    process = tier.start("run", *words)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def log(tier: Tier) -> Path:
    place = tier.home / "logs"
    subprocess.run(["/bin/rm", "-rf", str(place)], check=True)
    place.mkdir()
    tier.own(place)
    (place / "log.txt").write_text("old\n")
    return tier.own(place / "log.txt")


def test_what_is_written_is_added_at_the_end(tier: Tier, log: Path) -> None:
    code = (
        "import logging\nlogging.basicConfig(filename='logs/log.txt', format='%(message)s')\n"
        "logging.warning('from logging')\n"
        "with open('logs/log.txt', 'w') as file: file.write('emptied nothing\\n')\n"
        "with open('logs/new.txt', 'a') as file: file.write('x' * 100000)\n"
    )
    words = ("--append", "logs/log.txt", "--append", "logs/new.txt", "-c", code)
    status, out, err = belljar(tier, *words)
    if tier.name not in ("root", "user"):
        assert (status, out) == (125, "")
        assert "cannot protect append:" in err
        assert os.listdir(log.parent) == ["log.txt"]
        return
    assert status == 0, err
    assert log.read_text() == "old\nfrom logging\nemptied nothing\n"
    assert (log.parent / "new.txt").read_text() == "x" * 100000


def test_the_sum_is_bounded(tier: Tier, log: Path) -> None:
    if tier.name not in ("root", "user"):
        return  # appending is refused here
    code = "f = open('logs/log.txt', 'ab', 0)\nwhile True:\n    f.write(bytes(4096))"
    result = tier.home / "result.json"
    words = ("--disk", "1MiB", "--result", str(result), "--append", "logs/log.txt", "-c", code)
    status, _, err = belljar(tier, *words)
    assert status == 137
    assert "what it appended" in err
    assert log.stat().st_size == (1 << 20) + 4
    assert '"ended-by": "disk"' in result.read_text()


@pytest.mark.parametrize(
    ("prepare", "words", "said"),
    [
        ("mkdir logs/d", ["--append", "logs/d"], "is a directory; name the file"),
        ("ln -s /etc/passwd logs/l", ["--append", "logs/l"], "is a link"),
        ("mkfifo logs/f", ["--append", "logs/f"], "logs/f"),
        ("true", ["--append", "nowhere/x"], "No such file"),
        ("true", ["--append", "logs/log.txt", "--write", "logs/log.txt"], "granted with write"),
    ],
)
def test_what_cannot_be_appended_to_is_said(
    tier: Tier, log: Path, prepare: str, words: list[str], said: str
) -> None:
    if tier.name not in ("root", "user"):
        return  # appending is refused here
    subprocess.run(["/bin/sh", "-c", prepare], cwd=tier.home, check=True, **tier.identity)
    status, out, err = belljar(tier, *words, "-c", "print('ran')")
    assert (status, out) == (125, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert log.read_text() == "old\n"
