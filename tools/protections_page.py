"""The truth table of docs/protections.md, from the code's own declarations.

tools/protections_page.py            print the page as it should be
tools/protections_page.py --write    make it so
"""

from __future__ import annotations

import sys
from pathlib import Path

from belljar.confine.table import ATTEMPTS, COLUMNS, rows

PAGE = Path(__file__).parents[1] / "docs" / "protections.md"
FIRST = "<!-- table: made by tools/protections_page.py from belljar.confine.table -->\n"
LAST = "<!-- end of table -->\n"


def table() -> str:
    """The table, and what its columns and the probe's attempts are."""
    names = [name for name, _, _ in COLUMNS]
    lines = ["| Tier | What the receipt calls it | Who has it |", "|---|---|---|"]
    for letter, (name, tier, who) in zip("abcd", COLUMNS, strict=True):
        lines.append(f"| ({letter}) {name} | {tier} | {who} |")
    head = ["Protection", "What it protects", "Wall", "Window", *names, "Why not full"]
    lines += ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows():
        said = row.said
        cells = [f"`{row.name}`", said.protects, said.wall, said.window, *row.levels, row.why]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    lines += ["", f"The probe tries, outside and then inside: {'; '.join(ATTEMPTS.values())}."]
    return "".join(f"{line}\n" for line in lines)


def page(text: str) -> str:
    """`text` with the table of the code in place of the one that it has."""
    before, _, rest = text.partition(FIRST)
    _, _, after = rest.partition(LAST)
    return f"{before}{FIRST}\n{table()}\n{LAST}{after}"


if __name__ == "__main__":
    made = page(PAGE.read_text("utf-8"))
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(made, "utf-8")
    else:
        print(made, end="")
