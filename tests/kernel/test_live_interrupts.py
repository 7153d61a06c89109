"""An interrupt (^C) at any moment of a sandbox's life: nothing is left, and the next one works."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from belljar.sandbox.live.latch import Latch

ROUNDS = 1000 if os.environ.get("BELLJAR_LONG") else 25
SCRIPT = Path(__file__).with_name("interrupted.py")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("engine", ["template", "cold"])
def test_interrupts_at_random_moments_leave_nothing(engine: str) -> None:
    told = subprocess.run(
        [sys.executable, str(SCRIPT), str(ROUNDS), "5", engine],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.stdout == "True 0 [] []\n", told.stderr


def test_a_latch_wakes_all_who_wait_and_those_who_come_late() -> None:
    latch = Latch()
    assert not latch.wait(0.01)
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(latch.wait(60))) for _ in range(8)]
    for thread in threads:
        thread.start()
    latch.set()
    for thread in threads:
        thread.join(60)
    assert found == [True] * 8
    assert latch.wait()
    latch.set()
    assert latch.is_set()
