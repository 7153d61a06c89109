"""How `belljar log query` prints an answer: JSON lines, CSV, tabs in a pipe, a table on a terminal.

In a pipe nothing is cut. Text of the ledger is escaped everywhere, so that it drives no terminal
and cannot begin a row or a column of its own; JSON is plain ASCII and exact.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from belljar.ledger.query.ask import Answer

_WHOLE: Final = 1 << 40
_CELL: Final = 400  # characters of a value on a terminal
_AHEAD: Final = 500  # rows that the widths of a table are taken from
_MOST_SHOWN: Final = 2_000  # rows on a terminal
_LEAST: Final = 20  # a longer value may be folded to this width before the table is given up
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def show(answer: Answer, how: str = "") -> None:
    """Print `answer`: as `json`, as `csv`, or as fits where standard output goes."""
    if not answer.names:
        return
    if how == "json":
        _json(answer)
    elif how == "csv":
        _csv(answer)
    elif sys.stdout.isatty():
        _terminal(answer)
    else:
        _tabs(answer)


def cell(value: Any) -> str:
    """One value as text, not yet escaped. Times are RFC 3339 in UTC.

    >>> from datetime import datetime
    >>> cell(None), cell(b"\\x01"), cell(True), cell(datetime(2026, 1, 2, 3))
    ('', '01', 'true', '2026-01-02T03:00:00.000000Z')
    """
    from datetime import date, datetime

    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + ("" if value.tzinfo else "Z")
    if isinstance(value, date) or hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, (list, tuple, dict)):
        from belljar.cli.log_text import json_text

        return json_text(_sound(value))
    return str(value)


def _sound(value: Any) -> Any:
    """A value of DuckDB as JSON has it: times and decimals as text, bytes as hexadecimal."""
    import math

    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [_sound(item) for item in value]
    if isinstance(value, dict):
        return {cell(key): _sound(item) for key, item in value.items()}
    return cell(value)


def _names(answer: Answer) -> list[str]:
    """The columns' names, each once: `n`, `n_2`."""
    found: list[str] = []
    for name in answer.names:
        number, unique = 2, name
        while unique in found:
            unique, number = f"{name}_{number}", number + 1
        found.append(unique)
    return found


def _json(answer: Answer) -> None:
    from belljar.cli.log_text import print_json

    names = _names(answer)
    for row in answer.rows:
        print_json(dict(zip(names, map(_sound, row), strict=True)))


def _csv(answer: Answer) -> None:
    """RFC 4180; text that a spreadsheet would take for a formula gets a `'` before it."""
    import csv

    def guarded(value: Any) -> Any:
        found = _printable(cell(value), _WHOLE)
        formula = isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA)
        return f"'{found}" if formula else found

    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([guarded(name) for name in answer.names])
    for row in answer.rows:
        out.writerow([guarded(value) for value in row])


def _tabs(answer: Answer) -> None:
    """A line of names, a line a row. No value holds a tab or a line's end: they are escaped."""
    print("\t".join(_printable(name, _WHOLE) for name in answer.names))
    for row in _rows(answer, _WHOLE):
        print("\t".join(row))


def _rows(answer: Answer, limit: int) -> Iterator[list[str]]:
    for row in answer.rows:
        yield [_printable(cell(value), limit) for value in row]


def _right(answer: Answer) -> list[bool]:
    """Which columns are numbers."""
    return [kind.endswith("INT") or kind[:5] in ("INTEG", "UINTE", "DOUBL", "FLOAT", "DECIM")
            for kind in answer.types]  # fmt: skip


def _terminal(answer: Answer) -> None:
    """A table; where its columns would be too narrow to read, each row as a block of lines."""
    from itertools import chain, islice

    from rich.console import Console

    rows = _rows(answer, _CELL)
    names = [_printable(name, _CELL) for name in answer.names]
    first = [names, *islice(rows, _AHEAD)]
    needed = sum(
        min(_LEAST, max(map(len, column))) + 2 for column in zip(*first, strict=True)
    )  # fmt: skip
    console = Console()
    shown = islice(chain(first[1:], rows), _MOST_SHOWN)
    if needed > console.width:
        _blocks(names, shown)
    else:
        _table(console, names, _right(answer), shown)
    left = sum(1 for _ in rows) + max(0, len(first) - 1 - _MOST_SHOWN)
    if left:
        print(f"{left} more rows: LIMIT, or --json or --csv into a file")


def _blocks(names: list[str], rows: Iterator[list[str]]) -> None:
    width = max(map(len, names))
    for count, row in enumerate(rows):
        if count:
            print()
        for name, value in zip(names, row, strict=True):
            print(f"{name:{width}}  {value}".rstrip())


def _table(console: Any, names: list[str], right: list[bool], rows: Iterator[list[str]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, number in zip(names, right, strict=True):
        table.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _printable(text: str, limit: int) -> str:
    from belljar.report.text import printable

    return printable(text, limit)
