"""The suite on another tier than this process's own: `BELLJAR_ESCAPE_TIER=user|landlock|container`.

Only the sandboxed half runs there, and only its effect is looked at: words and denials are compared
on the tier that one has anyway. A case about a row that is less than full on some tier says so with
`row`, and runs where the truth table calls it full.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stage import Stage

from belljar.confine.table import COLUMNS, rows

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from tiers import NOBODY, Tier, places

NAME = os.environ.get("BELLJAR_ESCAPE_TIER", "")


def open_by_design(case: dict) -> str:
    """Why the case does not run on the tier, or nothing."""
    if not NAME:
        return ""
    if any("numpy" in flag for flag in case["flags"]):
        return "the tier's interpreter has no numpy"
    column = [name for name, _, _ in COLUMNS].index(NAME)
    levels = {row.name: row.levels[column] for row in rows()}
    named = case.get("row", "files")
    return f"{named} is {levels[named]} on this tier" if levels[named] != "full" else ""


@contextmanager
def tier() -> Iterator[Tier | None]:
    """The tier asked for, with an interpreter that its user can reach."""
    if not NAME:
        yield None
        return
    for base in places():
        yield Tier(NAME, base)


def move(stage: Stage, where: Tier) -> None:
    """The stage belongs to the tier's user, as far as attacks may know of it."""
    if where.demoted:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(stage.root)], check=True)
        for parent in (stage.root.parent, stage.root.parent.parent):
            if parent != Path("/var/tmp"):
                parent.chmod(0o755)
        stage.look()
