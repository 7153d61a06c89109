"""`belljar log sinks`: where the ledger goes besides, how far each sink is, and what it lost.

Exit status: 0; 1 no ledger, no such sink, a ledger of another user, an entry that it does not have,
or `--flush` could not deliver all; 2 usage.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

_KINDS = """
kinds: syslog+udp://HOST:514  syslog+tcp://HOST:514  syslog+tls://HOST:6514  syslog:///dev/log
       journald:  audit:  otlp+http://HOST:4318  otlp+https://HOST:4318  jsonl:/FILE
options: ?severity=WORD&rights=RIGHT,RIGHT and others; see docs/sinks.md
"""
#: What a column is called, and whether it holds numbers.
_COLUMNS: Final = (
    ("id", False), ("state", False), ("sent", True), ("behind", True), ("filtered", True),
    ("lost", True), ("runs", False), ("sink", False),
)  # fmt: skip
#: States of a sink that somebody who came could feed.
_TO_FEED: Final = ("new", "going", "waiting")
_COLOURS: Final = {"going": "green", "waiting": "yellow", "refused": "red", "unreadable": "red"}


def arguments(parser: ArgumentParser) -> None:
    """The command line."""

    from belljar.cli.log_text import with_directory

    parser.epilog = f"{parser.epilog or ''}\n{_KINDS}"
    with_directory(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--add", metavar="URL", help="forward every run to it, from now on")
    what.add_argument("--remove", metavar="ID", help="forget a sink and its position")
    what.add_argument("--reset", metavar="ID", help="let a sink go on at the ledger's end")
    what.add_argument(
        "--flush", nargs="?", const=30.0, type=_seconds, metavar="SECONDS",
        help="forward what is there, for so long at most (30)",
    )  # fmt: skip
    parser.add_argument("--from", dest="first", type=_number, default=0, metavar="N",
        help="with --add or --reset: from entry N on")  # fmt: skip


def act(options: Namespace) -> int:
    """Do what the command line asks for; the exit status."""
    from belljar.errors import LedgerError, UsageError
    from belljar.ledger.reader import Reader
    from belljar.ledger.sinks import store

    directory = options.directory
    if options.first and options.add is None and options.reset is None:
        raise UsageError("--from goes with --add or --reset")
    with Reader(directory) as reader:  # says where there is no ledger
        end = max(1, reader.skip_to_last(0))
    if options.first > end:
        raise LedgerError(
            f"the ledger in {directory} ends with #{end - 1}: --from is {end} at most"
        )
    if options.add is not None:
        _add(directory, options.add, options.first)
    elif options.remove is not None:
        store.remove(directory, _known(directory, options.remove))
    elif options.reset is not None:
        store.reset(directory, _known(directory, options.reset), options.first)
    done = True
    if options.flush is not None:
        done = _flush(directory, options.flush)
    _show(directory, end, json=options.json)
    return 0 if done else 1


def _flush(directory: str, seconds: float) -> bool:
    import logging

    from belljar.ledger.sinks.forward import flush

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what libraries say of receivers is in the table
    try:
        return flush(directory, seconds)
    finally:
        logging.disable(before)


def _add(directory: str, text: str, first: int) -> None:
    from belljar.errors import LedgerError, UsageError
    from belljar.ledger.sinks import store
    from belljar.ledger.sinks.able import lacks
    from belljar.ledger.sinks.config import parse

    sink = parse(text)
    if sink.descriptor >= 0:
        raise UsageError("a descriptor belongs to one run: give it to belljar run --sinks")
    if first and sink.id in store.names(directory):
        raise LedgerError(
            f"{sink.id} is registered already and goes on where it is; "
            f"belljar log sinks --reset {sink.id} --from {first}"
        )
    store.add(directory, sink, every_run=True, first=first)
    if why := lacks(sink):
        import sys

        print(f"belljar: warning: nothing will come there: {why}", file=sys.stderr)


def _known(directory: str, name: str) -> str:
    from belljar.errors import LedgerError
    from belljar.ledger.sinks import store

    if name not in store.names(directory):
        raise LedgerError(f"the ledger in {directory} has no sink {name}; see belljar log sinks")
    return name


def _show(directory: str, end: int, *, json: bool) -> None:
    from belljar.cli.log_text import print_json
    from belljar.ledger.sinks import store

    rows = [_row(directory, name, end) for name in store.names(directory)]
    if json:
        for row in rows:
            print_json(row)
    elif not rows:
        print("no sinks: belljar log sinks --add URL registers one (--help has examples)")
    else:
        _table(rows)
        waiting = [row for row in rows if row.get("behind") and row["state"] in _TO_FEED]
        # A descriptor has a process of its own, or is gone for good.
        if any(not row["sink"].startswith("jsonl:fd/") for row in waiting) and _nobody(directory):
            print("\nnobody feeds them now: the next run does, or belljar log sinks --flush")


def _row(directory: str, name: str, end: int) -> dict[str, Any]:
    from belljar.errors import LedgerError
    from belljar.ledger.sinks import store

    why = "its file says nothing that is understood: remove it and add it again"
    try:
        known = store.load(directory, name)
    except LedgerError as error:
        known, why = None, str(error)
    if known is None:
        return {"id": name, "state": "unreadable", "why": why}
    where = store.position(directory, known)
    return {
        "id": name, "sink": known.sink.text, "runs": "all" if known.every_run else "named",
        "state": where.state, "next": where.next, "behind": max(0, end - where.next),
        "sent": where.sent, "filtered": where.filtered, "lost": where.lost,
        "why": where.why, "time": where.time,
    }  # fmt: skip


def _table(rows: list[dict[str, Any]]) -> None:
    import sys

    from belljar.cli.log_text import safe
    from belljar.report.text import paint, wants_colour

    coloured = wants_colour(sys.stdout)
    texts = [{name: safe(str(row.get(name, ""))) for name, _ in _COLUMNS} for row in rows]
    heads = {name: "to" if name == "sink" else name for name, _ in _COLUMNS}
    widths = {n: max(len(line[n]) for line in [heads, *texts]) for n, _ in _COLUMNS}
    for line, row in zip([heads, *texts], [{}, *rows], strict=True):
        cells = []
        for name, number in _COLUMNS:
            width = widths[name] if name != "sink" else 0
            text = line[name].rjust(width) if number else line[name].ljust(width)
            colour = _COLOURS.get(row.get("state", "")) if name == "state" else None
            cells.append(paint(text, colour, coloured) if colour else text)
        print("  ".join(cells).rstrip())
        if row.get("why"):
            print(f"    {safe(row['why'])}")


def _nobody(directory: str) -> bool:
    """Whether no process feeds the sinks, or is about to, as far as this user can tell."""
    from belljar.errors import LedgerError
    from belljar.ledger.sinks.folder import Folder
    from belljar.ledger.tree.summon import taken
    from belljar.ledger.way import reach

    try:
        there = reach(directory)
        with Folder(there, ours=True) as folder:
            return not (folder.locked("lock") or taken(there))
    except (OSError, LedgerError):
        return False


def _number(text: str) -> int:
    from argparse import ArgumentTypeError

    from belljar.cli.log_text import entry_number

    if not (number := entry_number(text)):
        raise ArgumentTypeError("the first entry is 1")
    return number


def _seconds(text: str) -> float:
    from argparse import ArgumentTypeError

    from belljar.policy.units import parse_time

    try:
        return float(parse_time(text if not text.isdigit() else f"{text}s"))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
