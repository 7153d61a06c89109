"""A neighbour for an attack: another guest, or outside another program, alive meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stage import Stage

FLAGS = ("--stdin", "inherit", "--import", "ctypes", "--wall", "30s", "--quiet", "--ledger", "none")


@contextmanager
def neighbour(
    stage: Stage, case: dict, run: list[str], env: dict[str, str], identity: dict
) -> Iterator[list[str]]:
    """Lives while the body runs; the list then has the lines that it printed. `run` are the words
    that start a sandbox, or none."""
    said: list[str] = []
    if not case.get("neighbour"):
        yield said
        return
    folder = stage.root / "next"
    out = str(stage.root / "out")
    words = [sys.executable]
    if run:
        words = [*run, *FLAGS, "--read", out, "--write", out]
    reading, writing = os.pipe()
    if identity:
        os.fchown(reading, identity["user"], identity["group"])  # who may open it anew
    process = subprocess.Popen(
        [*words, "neighbour.py", json.dumps(stage.facts)],
        stdin=reading,
        stdout=subprocess.PIPE,
        env=env,
        cwd=folder,
        text=True,
        **identity,
    )
    os.close(reading)
    try:
        facts = Path(out) / "neighbour.json"
        while not facts.exists():
            assert process.poll() is None, "the neighbour ended before it began"
            time.sleep(0.01)
        yield said
    finally:
        os.close(writing)
        said += process.communicate(timeout=20)[0].splitlines()
