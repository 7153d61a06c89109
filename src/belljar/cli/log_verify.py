"""`belljar log verify`: prove the ledger whole, or name the first record that is not."""

from __future__ import annotations

from belljar.cli.log_text import print_json, safe, with_directory
from belljar.errors import LedgerCorrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

_MOST_RUNS: Final = 20


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    with_directory(parser)


def act(options: Namespace) -> int:
    """0 whole, 1 not. A torn end, which only says that a writer was killed, is still 0."""
    from belljar.ledger.reader import verify

    try:
        report = verify(options.directory)
    except LedgerCorrupt as error:
        if options.json:
            print_json({"whole": False, "error": str(error), "offset": error.offset})
        else:
            print(f"broken: {safe(str(error))}")
        return 1
    if options.json:
        from belljar.ledger.entries import plain

        fields = {name: getattr(report, name) for name in report.__fields__}
        fields["unfinished"] = [run.hex() for run in report.unfinished]
        fields["head"] = report.head.hex()
        print_json({"whole": True, **plain(fields)})
        return 0
    print(f"whole: {report.records} records, {report.entries} entries, {report.runs} runs")
    if report.torn:
        print(
            f"torn: {report.torn} bytes from offset {report.complete} ({report.why}); "
            "the next run keeps them in a side file"
        )
    if report.recovered:
        print(f"recovered: {report.recovered} torn ends of the past, kept in side files")
    for run in report.unfinished[:_MOST_RUNS]:
        print(f"unfinished: run {run.hex()} is still going on or was killed")
    if len(report.unfinished) > _MOST_RUNS:
        print(f"unfinished: {len(report.unfinished) - _MOST_RUNS} more runs")
    return 0
