"""`belljar log query "SQL" [DIR]`: SQL over the ledger, with DuckDB (the extra `query`).

Exit status: 0 answered; 1 no ledger, the query failed, or the extra is missing; 2 SQL that does
not stand. Text of the ledger is escaped in tables and CSV, and plain ASCII in JSON.
"""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from typing import Any, Final

    from belljar.ledger.query.ask import Answer

_CELL: Final = 400  # characters of a value in a table
_AHEAD: Final = 500  # rows that the widths of a table are taken from
_MOST_SHOWN: Final = 2_000  # rows of a table on a terminal
_WIDEST: Final = 60
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def arguments(parser: ArgumentParser) -> None:
    """SQL, DIR and how to print."""
    from belljar.cli.log_text import with_directory

    parser.add_argument("sql", metavar="SQL", help="over: events, runs, decisions, alerts, entries")
    with_directory(parser)
    parser.add_argument("--csv", action="store_true", help="CSV, for a spreadsheet")
    parser.add_argument(
        "--no-index", action="store_true", help="read the ledger itself, not the cached index"
    )


def act(options: Namespace) -> int:
    """Ask, print, 0. Raises `LedgerError`, `UsageError`."""
    from belljar.errors import UsageError
    from belljar.ledger.query.ask import ask

    if options.json and options.csv:
        raise UsageError("--json or --csv, not both")
    index, progress = not options.no_index, Progress()
    with ask(options.directory, options.sql, index=index, progress=progress) as answer:
        progress.end()
        if options.json:
            _json(answer)
        elif options.csv:
            _csv(answer)
        elif sys.stdout.isatty():
            _rich(answer)
        else:
            _plain(answer)
    return 0


class Progress:
    """Says on standard error how far the index is, where it takes over a second."""

    def __init__(self) -> None:
        self._said = self._start = time.monotonic()
        self._tty = sys.stderr.isatty()
        self._open = False

    def __call__(self, done: int, of: int) -> None:
        """`done` entries of `of` are in the index; 0: not known how many there are."""
        now = time.monotonic()
        if now - self._said < (0.3 if self._tty and self._open else 1 if not self._open else 10):
            return
        self._said, self._open = now, True
        rate = int(done / max(now - self._start, 0.001))
        text = f"belljar: indexing: {done:,} of {max(of, done):,} entries ({rate:,}/s)"
        sys.stderr.write(f"\r{text}\x1b[K" if self._tty else text + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Nothing more will be said."""
        if self._open and self._tty:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def cell(value: Any) -> str:
    """One value as text, not yet escaped.

    >>> cell(None), cell(b"\\x01"), cell(True)
    ('', '01', 'true')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if hasattr(value, "isoformat"):
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
        found = _printable(cell(value), 1 << 30)
        formula = isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA)
        return f"'{found}" if formula else found

    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([guarded(name) for name in answer.names])
    for row in answer.rows:
        out.writerow([guarded(value) for value in row])


def _rows(answer: Answer) -> Iterator[list[str]]:
    for row in answer.rows:
        yield [_printable(cell(value), _CELL) for value in row]


def _right(answer: Answer) -> list[bool]:
    """Which columns are numbers."""
    return [kind.endswith("INT") or kind[:5] in ("INTEG", "UINTE", "DOUBL", "FLOAT", "DECIM")
            for kind in answer.types]  # fmt: skip


def _plain(answer: Answer) -> None:
    """Columns one under the other, as wide as the first rows need; the last one as it comes."""
    from itertools import chain, islice

    if not answer.names:
        return
    rows = _rows(answer)
    first = [[_printable(name, _CELL) for name in answer.names], *islice(rows, _AHEAD)]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*first, strict=True)]
    right = _right(answer)
    for row in chain(first, rows):
        parts = [
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(row, widths, right, strict=True)
        ]
        print("  ".join(parts).rstrip())


def _rich(answer: Answer) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not answer.names:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, number in zip(answer.names, _right(answer), strict=True):
        title = Text(_printable(name, _CELL))
        table.add_column(title, justify="right" if number else "left", overflow="fold")
    left = 0
    for count, row in enumerate(_rows(answer)):
        if count < _MOST_SHOWN:
            table.add_row(*map(Text, row))
        else:
            left += 1
    Console().print(table)
    if left:
        print(f"{left} more rows: LIMIT, or --json or --csv into a file")


def _printable(text: str, limit: int) -> str:
    from belljar.report.text import printable

    return printable(text, limit)
