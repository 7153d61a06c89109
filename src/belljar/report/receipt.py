"""The receipt of a sandbox: what was enforced, by what, and what was not."""

from __future__ import annotations

from belljar.model import Status
from belljar.report.text import paint

_COLOUR = {"full": "green", "partial": "yellow", "none": "red"}


def render(status: Status, colour: bool = False) -> str:
    """A table, the weakest rows first: what is missing must not hide below what is there."""
    from textwrap import wrap

    order = {"none": 0, "partial": 1, "full": 2}
    rows = sorted(status.protections, key=lambda row: order[row.level])
    tier = {
        "root": "namespaces as root",
        "user": "user namespaces",
        "landlock": "Landlock and seccomp only",
        "process": "this very process, by Landlock and seccomp",
    }
    lines = [
        f"tier: {tier.get(status.tier, status.tier)}"
        + (f" ({status.probed})" if status.probed else "")
    ]
    width = max([11, *(len(row.name) for row in rows)])
    for row in rows:
        level = paint(f"{row.level:<8}", _COLOUR[row.level], colour)
        text = row.by if row.level == "full" else "; ".join(t for t in (row.reason, row.by) if t)
        if row.level == "full" and row.reason:
            text += f"; {row.reason}"
        first, *rest = wrap(text, 76) or [""]
        lines.append(f"  {row.name:<{width}} {level} {first}")
        lines += [" " * (width + 12) + more for more in rest]
    return "\n".join(lines)


def summary(status: Status) -> str:
    """One line: the levels, and the names of those that are not full."""
    weak = {"partial": [r.name for r in status.protections if r.level == "partial"],
            "none": [r.name for r in status.protections if r.level == "none"]}  # fmt: skip
    full = [r.name for r in status.protections if r.level == "full"]
    parts = [f"full: {' '.join(full)}"]
    parts += [f"{level}: {' '.join(names)}" for level, names in weak.items() if names]
    return "; ".join(parts)


def as_json(status: Status) -> dict[str, object]:
    """The receipt as plain data, stable keys."""
    return {
        "tier": status.tier,
        "protections": {
            r.name: {"level": r.level, "by": r.by, "reason": r.reason} for r in status.protections
        },
    }
