"""A learned policy is enough in every tier, and what it lacked is found by `why` and learned."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tiers import Tier

PROGRAM = """\
import os, pathlib
text = pathlib.Path("data/in.txt").read_text()
os.makedirs("out/deep", exist_ok=True)
pathlib.Path("out/deep/result").write_text(text)
os.rename("out/deep/result", "out/deep/final")
print(pathlib.Path("out/deep/final").read_text().strip())
"""


@pytest.fixture
def place(tier: Tier) -> Path:
    """A project of the tier's user, and nothing left of an earlier one."""
    root = tier.home / "project"
    shutil.rmtree(root, ignore_errors=True)
    for path in (root, root / "data", root / "out"):
        path.mkdir()
        tier.own(path)
    for name, text in (("data/in.txt", "text\n"), ("job.py", PROGRAM)):
        (root / name).write_text(text)
        tier.own(root / name)
    return root


def belljar(tier: Tier, place: Path, *words: str) -> tuple[int, str, str]:
    process = subprocess.Popen(
        [*tier.command(), *words], env=tier.env, cwd=place, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **tier.identity,
    )  # fmt: skip
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


def test_the_loop_closes_in_every_tier(tier: Tier, place: Path) -> None:
    status, out, err = belljar(tier, place, "learn", "-o", "p.toml", "job.py")
    assert (status, out) == (0, "text\n"), err
    shutil.rmtree(place / "out/deep")
    status, out, err = belljar(tier, place, "run", "--policy", "p.toml", "job.py")
    assert (status, out, err) == (0, "text\n", ""), (place / "p.toml").read_text()


def test_a_denial_is_explained_and_learned_in_every_tier(tier: Tier, place: Path) -> None:
    status, _, err = belljar(tier, place, "run", "--write", "out", "job.py")
    assert status == 1, err
    status, out, err = belljar(tier, place, "why")
    assert status == 0, err
    assert f"denied[read]: {place}/data/in.txt" in out
    assert "files full" in out
    status, _, err = belljar(tier, place, "learn", "--record", "-o", "more.toml")
    assert status == 0, err
    status, out, err = belljar(tier, place, "run", "--policy", "more.toml", "job.py")
    assert (status, err) != (0, "")  # `out` is not readable yet: the next round learns that
    belljar(tier, place, "learn", "--record", "--force", "-o", "more.toml")
    shutil.rmtree(place / "out/deep", ignore_errors=True)
    status, out, err = belljar(tier, place, "run", "--policy", "more.toml", "job.py")
    assert (status, out, err) == (0, "text\n", ""), (place / "more.toml").read_text()
