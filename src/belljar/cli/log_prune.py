"""`belljar log prune`: delete old books; the ledger stays provable and says what it lost."""

from __future__ import annotations

from belljar.cli.log_text import print_json, safe, when, with_directory
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
        help="delete closed books wholly older than this: 2026-01-31 or 2026-01-31T12:00Z (UTC)",
    )
    with_directory(parser)


def moment(text: str) -> int:
    """An argparse type: a date or time of ISO 8601, UTC where it says nothing; ns since 1970.

    >>> moment("2001-09-09T01:46:40Z")
    1000000000000000000
    """
    from argparse import ArgumentTypeError
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        seconds = int(found.timestamp())
    except (ValueError, OverflowError):
        said = safe(repr(text), 60)
        raise ArgumentTypeError(f"expected a date such as 2026-01-31, got {said}") from None
    return seconds * 10**9


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
