"""What a cross-check found, on a screen and as JSON.

The text comes from the watched programs: everything is escaped.
"""

from __future__ import annotations

from belljar.report.text import paint, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.model import Frame
    from belljar.watch.coverage import Coverage, Row, Unexplained

_MOST_LINES: Final = 25
_WIDTH: Final = 100


def lines(coverage: Coverage, *, colour: bool = False, stacks: int = 0) -> list[str]:
    """The screen: a row for each kind of call, what is not explained, with so many frames of where
    Python was as `stacks` says, what is not Python.

    A percentage is of the calls that an event could have announced. Ends with nothing where no
    call was seen.
    """
    if not coverage.rows:
        return []
    total = sum(row.seen for row in coverage.rows)
    out = [paint(f"cross-check: {total} system calls seen by the kernel", "bold", colour)]
    titles = f"{'seen':>8}{'explained':>11}{'attributed':>12}{'unexplained':>13}"
    recorded = "  in the record" if any(row.recorded for row in coverage.rows) else ""
    out.append(f"    {'':<18}{titles}{recorded}")
    out += [_row(row, colour) for row in coverage.rows]
    out += _unexplained(coverage, colour, stacks)
    out += _attributed(coverage, colour)
    return out


def objects(coverage: Coverage) -> list[dict[str, Any]]:
    """The same as objects for JSON lines: `coverage` for each kind of call, then `unexplained`."""
    out: list[dict[str, Any]] = []
    for row in coverage.rows:
        reasons = [*coverage.explained, *coverage.attributed]
        out.append(
            {
                "kind": "coverage",
                "of": row.kind,
                "seen": row.seen,
                "explained": row.explained,
                "attributed": row.attributed,
                "unexplained": row.unexplained,
                "recorded": row.recorded,
                "percent": row.percent,
                "reasons": {reason: n for kind, reason, n in reasons if kind == row.kind},
            }
        )
    for group in coverage.unexplained:
        fields = {name: group.__dict__[name] for name in group.__fields__}
        out.append(
            {
                **fields,
                "kind": "unexplained",
                "of": group.kind,
                "frame": _plain(group.frame),
                "after": _plain(group.after),
                "frames": [_plain(frame) for frame in group.frames],
            }
        )
    return out


def _plain(frame: Frame | None) -> dict[str, Any] | None:
    if frame is None:
        return None
    return {"file": frame.file, "line": frame.line, "function": frame.function}


def percentage(row: Row) -> str:
    """A row's coverage, never rounded up to everything.

    >>> from belljar.watch.coverage import Row
    >>> percentage(Row("open", 9999, 9998, 0, 1))
    '99.9 %'
    """
    if row.percent is None:
        return "-"
    if row.unexplained == 0:
        return "100 %"
    return f"{min(row.percent, 99.9):.1f} %"


def _row(row: Row, colour: bool) -> str:
    explained = percentage(row)
    text = (
        f"    {row.kind:<18}{row.seen:>8}{explained:>11}{row.attributed:>12}{row.unexplained:>13}"
    )
    text += f"{row.recorded:>15}" if row.recorded else ""
    return paint(text, "red", colour and row.unexplained > 0)


def _unexplained(coverage: Coverage, colour: bool, stacks: int) -> list[str]:
    if not coverage.unexplained and not coverage.more:
        return []
    out = [paint("  announced by no event of Python:", "bold", colour)]
    shown = coverage.unexplained[:_MOST_LINES]
    for group in shown:
        times = f"  ({group.count} times)" if group.count > 1 else ""
        target = printable(group.target, _WIDTH) if group.target else "?"
        known = f", in the record as {printable(group.recorded)}" if group.recorded else ""
        out.append(f"    {group.call} {target}{times}{known}")
        out.append(f"      {printable(_where(group), 2 * _WIDTH)}")
        for frame in group.frames[:stacks]:
            place = printable(f"{_place(frame)} in {frame.function}", 2 * _WIDTH)
            out.append(f"        {place}")
    rest = sum(group.count for group in coverage.unexplained[_MOST_LINES:]) + coverage.more
    if rest:
        out.append(f"    and {rest} more")
    return out


def _where(group: Unexplained) -> str:
    """Where Python was when it happened, as far as the record tells."""
    who = f"process {group.pid}"
    if group.thread != group.pid:
        who += f", thread {group.thread}"
    if group.frame is None:
        return f"{who}: no Python was seen before it"
    text = f"{who}, last seen at {_place(group.frame)}"
    if group.elsewhere:
        text += ", in another thread or its parent"
    elif group.after is not None:
        text += f", next at {_place(group.after)}"
    return text


def _place(frame: Frame) -> str:
    return f"{frame.file}:{frame.line}"


def _attributed(coverage: Coverage, colour: bool) -> list[str]:
    if not coverage.attributed:
        return []
    out = [paint("  attributed, no event is due:", "bold", colour)]
    counts: dict[str, int] = {}
    for _, reason, count in coverage.attributed:
        counts[reason] = counts.get(reason, 0) + count
    out += [f"    {count} {reason}" for reason, count in sorted(counts.items())]
    programs: dict[str, list[str]] = {}
    for program, kind, count in coverage.others:
        programs.setdefault(program, []).append(f"{count} {kind}")
    for program, kinds in list(programs.items())[:_MOST_LINES]:
        out.append(f"      {printable(program or '?', _WIDTH)}: {', '.join(kinds)}")
    if len(programs) > _MOST_LINES:
        out.append(f"      and {len(programs) - _MOST_LINES} more programs")
    return out
