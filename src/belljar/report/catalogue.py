"""The catalogue of audit events as text for a person, and as plain values for JSON."""

from __future__ import annotations

from belljar.events.table import in_version, silences
from belljar.events.table import pep578 as pep578_lines
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from belljar.events.table import Entry, Line, Silence

_NEWEST = "3.14"


def events(entries: Iterable[Entry], categories: Iterable[str], version: str | None) -> str:
    """Every event on one line, by category."""
    entries = tuple(entries)
    wide = max(len(entry.name) for entry in entries)
    lines = []
    for kind in categories:
        of_kind = [entry for entry in entries if entry.category == kind]
        lines += [kind] if of_kind else []
        for entry in of_kind:
            names = ", ".join(a.name for a in entry.arguments(version or _NEWEST))
            where = "" if "linux" in entry.platforms else f"  ({' '.join(entry.platforms)})"
            text = f"  {entry.name:<{wide}}  {entry.right or '-':<8}  {names}{where}"
            lines.append(text.rstrip())
    return "\n".join(lines)


def event(entry: Entry, version: str | None) -> str:
    """All that is known of one event."""
    rows: list[tuple[str, str]] = [("event", entry.name), ("category", entry.category)]
    for signature in entry.signatures:
        if version is not None and not in_version(signature.versions, version):
            continue
        several = f"  ({signature.versions})" if signature.versions else ""
        texts = [f"{a.name}: {' | '.join(a.types)}{several}" for a in signature.arguments]
        rows += [("arguments", text) for text in texts or ["none"]]
        if version is not None:
            break
    need = entry.right or "none"
    if entry.right and entry.target:
        need += f" on {entry.target}"
    rows.append(("right", need))
    if entry.category == "application" and entry.target and not entry.right:
        rows.append(("target", entry.target))  # what rules and summaries compare all the same
    rows += [("versions", versions_text(entry.versions))]
    if version is not None and not in_version(entry.versions, version):
        rows.append(("", f"not in {version}"))
    rows.append(("platforms", ", ".join(entry.platforms)))
    rows += [("besides", f"{name} is raised for the same") for name in entry.doubles]
    rows += [("lie", text) for text in entry.lies]
    rows += [("note", entry.note)] if entry.note else []
    for line in pep578_lines():
        if entry.name in line.shipped:
            rows.append(("pep 578", f"promised as {line.promised}: {became(line)}"))
    for silence in silences(version):
        if silence.name in entry.silences:
            rows.append(("silent", f"{silence.name}: {silence.operation}"))
    lines, last = [], ""
    for head, text in rows:
        repeated = head == last == "arguments"
        lines.append(f"{'' if repeated else head:<10} {text}")
        last = head
    return "\n".join(lines)


def versions_text(versions: str) -> str:
    """A range of versions in words."""
    if not versions:
        return "all"
    return f"from {versions[:-1]}" if versions.endswith("+") else f"up to {versions[1:]}"


def cover(silence: Silence) -> str:
    """What sees or stops a silent operation, in words."""
    found = [f"belljar run: {wall}" for wall in silence.walls]
    found += [f"cross-check: {kind}" for kind in silence.cross_check]
    found += ["belljar.edit (3.12 and later)"] if silence.edits else []
    return ", ".join(found) or "nothing"


def silent(found: Iterable[Silence]) -> str:
    """What happens without an event, why it matters, and what covers it."""
    lines = []
    for silence in found:
        lines += [
            f"{silence.name}  ({versions_text(silence.versions)})",
            f"  what     {silence.operation}",
            f"  matters  {silence.matters}",
            f"  covered  {cover(silence)}",
        ]
    return "\n".join(lines)


def became(line: Line) -> str:
    """What became of a promise, in a few words."""
    if line.promised in line.shipped:
        return "as promised" if line.whole else "in part"
    return f"never under this name; {', '.join(line.shipped)}" if line.shipped else "never shipped"


def pep578(lines: Iterable[Line]) -> str:
    """PEP 578's two tables, and what became of each line."""
    found = []
    for line in lines:
        found.append(f"table {line.table}  {line.promised:<30} {became(line)}")
        found += [f"{'':9}{line.note}"] if line.note else []
    return "\n".join(found)


def plain(value: Any) -> Any:
    """A value of the catalogue as JSON has it: objects by field name, tuples as lists."""
    if isinstance(value, Value):
        return {name: plain(getattr(value, name)) for name in value.__fields__}
    return [plain(item) for item in value] if isinstance(value, tuple) else value
