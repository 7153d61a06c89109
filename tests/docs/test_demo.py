"""The demo holds, from a copy of the repository's demo/ and in a home of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples import ROOT, House


@pytest.fixture
def house(images: Path) -> Iterator[House]:
    place = Path(tempfile.mkdtemp(prefix="belljar-demo-", dir="/var/tmp"))
    place.chmod(0o755)
    one = House(place, images)
    yield one
    one.clear()


def run_demo(house: House) -> subprocess.CompletedProcess[str]:
    unwanted = shutil.ignore_patterns("out", "record", ".state", "__pycache__")
    if not (house.project / "demo").exists():
        shutil.copytree(ROOT / "demo", house.project / "demo", ignore=unwanted)
    house.environment["BELLJAR"] = house.environment["PATH"].split(":")[0] + "/belljar"
    return subprocess.run(
        [sys.executable, house.project / "demo" / "demo.py"], env=house.environment,
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=300,
    )  # fmt: skip


def test_the_demo_ends_well_and_leaves_no_secret_behind(house: House) -> None:
    run = run_demo(house)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "FAIL" not in run.stdout
    assert run.stdout.count("  ok  ") >= 15
    assert not (house.home / ".belljar-demo-secret").exists()
    assert not any(
        len(line) > 100 for line in run.stdout.splitlines() if "belljar-demo" not in line
    )
    assert "\x1b" not in run.stdout


def test_the_demo_can_be_run_again(house: House) -> None:
    """Its record begins anew each time, with other keys than the ledger that was there before."""
    for _ in range(2):
        run = run_demo(house)
        assert run.returncode == 0, run.stdout + run.stderr


def test_the_demo_fails_where_an_attack_has_an_effect(house: House) -> None:
    shim = Path(house.environment["PATH"].split(":")[0]) / "belljar"
    real = shim.read_text("utf-8").splitlines()[-1]
    # a Belljar beside which something leaves the very file that the shell would have left
    shim.write_text(
        "#!/bin/sh\n"
        'case "$*" in run*hostile.py*) touch "$(pwd)/demo/out/.cache";; esac\n' + real + "\n",
        "utf-8",
    )
    run = run_demo(house)
    assert run.returncode == 1, run.stdout
    assert "FAIL  no attack had an effect: the shell left no file" in run.stdout
