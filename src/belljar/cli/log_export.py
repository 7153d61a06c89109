"""`belljar log export --format FORMAT [DIR]`: a ledger for other systems. `docs/export.md`.

Exit status: 0 exported; 1 no ledger, a flaw on the way (what was before it is exported), or the
file cannot be written; 2 usage.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from typing import Final

    from belljar.ledger.export.write import Selection

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LEAST, _MOST = -(1 << 62), 1 << 62


def arguments(parser: ArgumentParser) -> None:
    """What to export, as what, and where to."""
    from belljar.cli.log_text import with_directory
    from belljar.ledger.export.write import FORMATS

    with_directory(parser)
    parser.add_argument("--format", required=True, choices=FORMATS, help="parquet needs -o FILE")
    parser.add_argument(
        "--since", type=moment, metavar="TIME",
        help="recorded from then on: 2026-11-21, 2026-11-21T05:00:00Z, or 2h (ago)",
    )  # fmt: skip
    parser.add_argument("--until", type=moment, metavar="TIME", help="recorded before then")
    parser.add_argument("--run", type=_run, default="", metavar="ID", help="how its id begins")
    parser.add_argument(
        "--kind", type=_kinds, default=frozenset(), metavar="KIND[,KIND]",
        help="event, decision, start, end, ...",
    )  # fmt: skip
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    parser.add_argument("--host", default="", metavar="NAME", help="ocsf: whose ledger it is")
    parser.add_argument("--no-index", action="store_true", help="parquet: read the ledger itself")


def act(options: Namespace) -> int:
    """Export, 0. Raises `LedgerError`, `UsageError`."""
    from belljar.errors import UsageError
    from belljar.ledger.export.write import Selection, parquet, to_file

    if None not in (options.since, options.until) and options.since > options.until:
        raise UsageError("--since is later than --until: nothing was recorded then")
    wanted = Selection(options.since, options.until, options.run, options.kind)
    output = None if options.output == "-" else options.output
    if options.json and output is None:
        raise UsageError("--json tells what was written: name a file with -o FILE")
    if options.format == "parquet":
        if output is None:
            raise UsageError("parquet is no text: name a file with -o FILE")
        from belljar.cli.log_query import Progress

        progress, kept = Progress(), not options.no_index
        to_file(
            output,
            lambda name: _nothing(
                parquet(options.directory, name, wanted, index=kept, progress=progress)
            ),
        )
        progress.end()
        _tell(options)
        return 0
    if output is None:
        for part in _parts(options, wanted):
            sys.stdout.write(part)
        return 0

    def write(name: str) -> None:
        with open(name, "w", encoding="ascii") as file:
            for part in _parts(options, wanted):
                file.write(part)

    to_file(output, write, forwards=True)
    _tell(options)
    return 0


def _nothing(_rows: int) -> None:
    return None


def _tell(options: Namespace) -> None:
    from belljar.cli.log_text import print_json

    if options.json:
        print_json({"exported": True, "format": options.format, "file": options.output})


def _parts(options: Namespace, wanted: Selection) -> Iterator[str]:
    from belljar.ledger.export.write import jsonl, ocsf_lines, sarif_parts

    if options.format == "sarif":
        yield from sarif_parts(options.directory, wanted)
        return
    if options.format == "jsonl":
        lines = jsonl(options.directory, wanted)
    else:
        import platform

        lines = ocsf_lines(options.directory, options.host or platform.node(), wanted)
    for one in lines:
        yield one + "\n"


def moment(text: str) -> int:
    """A point in time, nanoseconds since 1970: ISO 8601 (UTC unless it says another zone), or how
    long ago: `90s`, `30m`, `2h`, `7d`, `1w`. Raises argparse's error for anything else.

    >>> moment("1970-01-02"), moment("1970-01-01T01:00:00+01:00")
    (86400000000000, 0)
    """
    import time
    from argparse import ArgumentTypeError
    from datetime import UTC, datetime, timedelta

    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isascii() and number.isdigit() and len(number) < 8:
        return time.time_ns() - int(number) * _UNITS[unit] * 10**9
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
        since = found - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        from belljar.cli.log_text import safe

        said = safe(repr(text), 60)
        raise ArgumentTypeError(f"expected a time such as 2026-11-21 or 2h, got {said}") from None
    return min(_MOST, max(_LEAST, since // timedelta(microseconds=1) * 1000))


def _run(text: str) -> str:
    found = text.lower()
    if len(found) > 32 or any(letter not in "0123456789abcdef" for letter in found):
        from argparse import ArgumentTypeError

        raise ArgumentTypeError("expected the beginning of a run's id, hexadecimal")
    return found


def _kinds(text: str) -> frozenset[str]:
    from belljar.ledger.query.rows import KINDS

    found = frozenset(text.split(","))
    if not found <= set(KINDS):
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"expected some of {', '.join(KINDS)}")
    return found
