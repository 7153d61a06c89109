"""`belljar log query "SQL" [DIR]`: SQL over the ledger, with DuckDB (the extra `query`).

Exit status: 0 answered; 1 no ledger, the query failed, or the extra is missing; 2 SQL that does
not stand. `cli.log_answer` prints the rows.
"""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

#: Seconds before the first word about how far an index is.
QUIET: Final = 1.0


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
    from belljar.cli.log_answer import show
    from belljar.errors import UsageError
    from belljar.ledger.query.ask import ask

    if options.json and options.csv:
        raise UsageError("--json or --csv, not both")
    index, progress = not options.no_index, Progress()
    how = "json" if options.json else "csv" if options.csv else ""
    with ask(options.directory, options.sql, index=index, progress=progress) as answer:
        progress.end()
        show(answer, how)
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
        pause = (0.3 if self._tty else 10.0) if self._open else QUIET
        if now - self._said < pause:
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
