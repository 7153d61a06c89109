"""A sandbox's first use in a process is paid by its user: nothing slow is imported for it."""

from __future__ import annotations

import subprocess
import sys


def test_what_a_sandbox_needs_imports_nothing_slow() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import belljar; belljar.Sandbox; belljar.run\n"
        "import belljar.sandbox.live.cold, belljar.sandbox.walls\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    slow = {
        "typing", "dataclasses", "enum", "re", "json", "argparse", "asyncio", "pathlib", "logging",
        "subprocess", "socket", "tempfile", "shutil", "hashlib", "tomllib", "msgspec", "ipaddress",
        "importlib.metadata", "inspect", "decimal", "datetime", "concurrent.futures", "numpy",
    }  # fmt: skip
    assert not set(run.stdout.decode().split()) & slow
