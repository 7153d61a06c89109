"""The tables of docs/interpreter.md, from `belljar.policy.subset`.

tools/interpreter_page.py            print the page as it should be
tools/interpreter_page.py --write    make it so
"""

from __future__ import annotations

import sys
from pathlib import Path

from belljar.policy.documents import judged
from belljar.policy.subset import FACTS, OS, SYS

PAGE = Path(__file__).parents[1] / "docs" / "interpreter.md"


def rows(head: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)


def tables() -> dict[str, str]:
    """Each table by the name that its marks bear."""
    names = sorted(SYS, key=lambda name: (name.lower().strip("_"), name))
    calls = [(" ".join(f"`{n}`" for n in sorted(w.split())), what, by) for w, what, by in OS]
    return {
        "sys": rows(
            ("Attribute of `sys`", "In a guest", "2006", "Why"),
            [(f"`{n}`", SYS[n][0], judged(n), SYS[n][1]) for n in names],
        ),
        "os": rows(("Names in `os`", "In a guest", "What decides"), calls),
        "facts": rows(
            ("Asked", "What Python code is told without `os-info`", "What tells all the same"),
            list(FACTS),
        ),
    }


def page(text: str) -> str:
    """`text` with the tables of the code in place of those that it has."""
    for name, table in tables().items():
        first, last = f"<!-- {name}: made by tools/interpreter_page.py -->\n", "<!-- end -->\n"
        before, _, rest = text.partition(first)
        after = rest.partition(last)[2]
        text = f"{before}{first}\n{table}\n{last}{after}"
    return text


if __name__ == "__main__":
    made = page(PAGE.read_text("utf-8"))
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(made, "utf-8")
    else:
        sys.stdout.write(made)
