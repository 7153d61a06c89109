"""docs/catalogue.md says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_the_catalogue_is_current() -> None:
    tool = ROOT / "tools" / "catalogue_page.py"
    done = subprocess.run([sys.executable, str(tool)], capture_output=True, check=True)
    assert (ROOT / "docs" / "catalogue.md").read_bytes() == done.stdout, "make prove writes it"
