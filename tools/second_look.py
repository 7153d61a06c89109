"""Which failed tests may be tried once more, alone: `second_look.py CACHE` prints them, or fails.

Several CPythons are tested at once, so a test of times may fail for want of a processor. Not so
what tries a wall: one that holds only sometimes does not hold. At most three in all.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

MOST = 3
WALLS = ("tests/kernel/", "tests/escape/", "tests/bypass/", "tests/honest/", "tests/property/")


def main(cache: str) -> int:
    """0 and the names where all of them may; 1 where one may not, or nothing is known."""
    file = Path(cache, "v", "cache", "lastfailed")
    if not file.exists():
        return 1
    failed = sorted(json.loads(file.read_text("utf-8")))
    if not failed or len(failed) > MOST or any(name.startswith(WALLS) for name in failed):
        return 1
    print(", ".join(failed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
