"""The cells of the truth table that are about a run as a whole, tried on each tier.

`test_receipt.py` tries what a guest can ask for; here a guest burns, floods, sleeps and fills.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess

import pytest
from tiers import Tier

from belljar.confine.status import NAMES
from belljar.confine.table import COLUMNS, rows

FILL = """
import json, os, tempfile
def fill(size, files=1):
    try:
        made = [tempfile.TemporaryFile() for _ in range(files)]
        for one in made:
            one.write(b"x" * size)
            one.flush()
    except OSError:
        return "refused"
    return "done"
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
print(json.dumps({"long": fill(2 << 20), "many": fill(900 << 10, 4)}))
"""
FREE = """
import ctypes
room = ctypes.create_string_buffer(6 * 65)
ctypes.CDLL(None).uname(room)
print(room.raw[2 * 65:].split(b"\\0")[0].decode())
"""
RUNS = {
    "wall": ("--wall", "1s", "-c", "import time; time.sleep(60)"),
    "cpu": ("--cpu", "1s", "--wall", "20s", "-c", "while True: pass"),
    "output": ("--output", "10KiB", "-c", "while True: print('x' * 1000)"),
    "disk": ("--disk", "1MiB", "-c", FILL),
    "free": ("--import", "ctypes", "-c", FREE),
    "plain": ("-c", "print('plain')"),
}


def cells(tier: Tier) -> dict[str, str]:
    column = [name for name, _, _ in COLUMNS].index(tier.name)
    return {row.name: row.levels[column] for row in rows()}


@pytest.fixture(scope="module")
def ended(tier: Tier) -> dict[str, tuple[dict, str]]:
    """What became of each run, and what it printed; they take place at once."""
    started = {}
    for name, words in RUNS.items():
        result = tier.home / f"table-{name}.json"
        started[name] = (result, tier.start("run", "--result", str(result), *words))
    found = {}
    for name, (result, process) in started.items():
        out, err = process.communicate(timeout=40)
        assert result.exists(), err.decode()
        found[name] = (json.loads(result.read_text()), out.decode())
        os.unlink(result)
    return found


@pytest.mark.parametrize("limit", ["wall", "cpu", "output"])
def test_a_limit_ends_the_guest_where_the_cell_says_more_than_none(
    tier: Tier, ended: dict[str, tuple[dict, str]], limit: str
) -> None:
    assert cells(tier)[limit] != "none"
    assert ended[limit][0]["ended-by"] == limit


def test_the_disk_is_bounded_as_far_as_the_cell_says(
    tier: Tier, ended: dict[str, tuple[dict, str]]
) -> None:
    tried = json.loads(ended["disk"][1])
    assert cells(tier)["disk"] == "partial"
    assert tried["long"] == "refused"
    assert tried["many"] == ("done" if tier.kind == "landlock" else "refused")


def test_what_a_cell_calls_none_is_really_open(
    tier: Tier, ended: dict[str, tuple[dict, str]]
) -> None:
    """What a window refuses is open to native code."""
    assert (cells(tier)["os-info"], ended["free"][1].strip()) == ("none", os.uname().release)


def test_the_receipt_of_a_plain_run_is_the_column(
    tier: Tier, ended: dict[str, tuple[dict, str]]
) -> None:
    receipt = ended["plain"][0]["receipt"]
    assert receipt["tier"] == tier.kind
    levels = {name: row["level"] for name, row in receipt["protections"].items()}
    column = cells(tier)
    assert levels == {name: column[name] for name in levels}
    absent = set(NAMES) - set(levels)
    assert absent <= {"connections", "overlay", "rules", "block", "builtins"}, "they need a grant"


def test_tier_d_is_what_the_table_says_it_is(tier: Tier) -> None:
    if tier.name != "container" or platform.machine() != "x86_64":  # the numbers are its own
        return
    code = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "calls = [libc.unshare(0x20000), libc.mount(0, 0, 0, 0, 0), libc.syscall(438, -1, 0, 0),\n"
        "         libc.syscall(310, os.getpid(), 0, 0, 0, 0, 0)]\n"
        "status = open('/proc/self/status').read().split()\n"
        "print(os.getuid(), calls, status[status.index('CapEff:') + 1])\n"
    )
    done = subprocess.run([*tier.enter(), tier.python, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"0 [-1, -1, -1, -1] 00000000a80425fb\n", done.stderr
