"""`belljar log prune`: delete old books; the ledger stays provable and says what it lost."""

from __future__ import annotations

from belljar.cli.log_export import moment
from belljar.cli.log_text import print_json, when, with_directory
from belljar.report.text import many

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument(
        "--before",
        type=moment,
        required=True,
        metavar="DATE",
        help="delete closed books wholly older: 2026-01-31, 2026-01-31T12:00Z (UTC) or 30d (ago)",
    )
    with_directory(parser)


def act(options: Namespace) -> int:
    """0, also when nothing is that old; 1 when something is in the way."""
    from belljar.ledger.prune import prune

    gone = prune(options.directory, options.before)
    if options.json:
        books = [{name: getattr(one, name) for name in one.__fields__} for one in gone]
        print_json({"pruned": len(books), "before": options.before, "books": books})
        return 0
    for one in gone:
        last = one.book + one.entries - 1
        size = many(one.size, "byte")
        print(f"pruned: entries {one.book} to {last}, {size}, until {when(one.until)}")
    if not gone:
        print(f"nothing to prune: no closed book is wholly older than {when(options.before)}")
    return 0
