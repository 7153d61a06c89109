"""`belljar log sinks`: where the ledger goes besides, how far each sink is, and what it lost.

Exit status: 0; 1 no ledger, no such sink, or `--flush` could not deliver all; 2 usage.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="default: your own")
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
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def act(options: Namespace) -> int:
    """Do what the command line asks for; the exit status."""
    from belljar.errors import LedgerError
    from belljar.ledger.sinks import store

    directory = options.directory
    if options.add is not None:
        _add(directory, options.add, options.first)
    elif options.remove is not None:
        if not store.remove(directory, _known(directory, options.remove)):
            raise LedgerError(f"the ledger in {directory} has no sink {options.remove}")
    elif options.reset is not None:
        _reset(directory, _known(directory, options.reset), options.first)
    done = True
    if options.flush is not None:
        from belljar.ledger.sinks.forward import flush

        done = flush(directory, options.flush)
    _show(directory, json=options.json)
    return 0 if done else 1


def _add(directory: str, text: str, first: int) -> None:
    from belljar.errors import UsageError
    from belljar.ledger.sinks import store
    from belljar.ledger.sinks.config import parse

    sink = parse(text)
    if sink.descriptor >= 0:
        raise UsageError("a descriptor belongs to one run: give it to belljar run --sinks")
    store.end(directory)  # refuses what is no ledger
    store.add(directory, sink, every_run=True, first=first)


def _known(directory: str, name: str) -> str:
    from belljar.errors import LedgerError
    from belljar.ledger.sinks import store

    if name not in store.names(directory):
        raise LedgerError(f"the ledger in {directory} has no sink {name}; see belljar log sinks")
    return name


def _reset(directory: str, name: str, first: int) -> None:
    from belljar.errors import LedgerError
    from belljar.ledger.sinks import store

    known = store.load(directory, name)
    if known is None:
        raise LedgerError(f"the sink {name} cannot be read; remove it and add it again")
    old = store.position(directory, known)
    begin = first or store.end(directory)
    try:
        store.save(
            directory, name,
            old.replace(next=begin, counted=max(old.counted, begin), own="", state="new", why=""),
        )  # fmt: skip
    except OSError as error:
        raise LedgerError(f"cannot keep the position of {name}: {error.strerror}") from error


def _show(directory: str, *, json: bool) -> None:
    from belljar.ledger.sinks import store

    last = store.end(directory)
    rows: list[dict[str, Any]] = []
    for name in store.names(directory):
        known = store.load(directory, name)
        if known is None:
            rows.append({"id": name, "state": "unreadable"})
            continue
        where = store.position(directory, known)
        rows.append(
            {
                "id": name, "sink": known.sink.text,
                "runs": "all" if known.every_run else "that name it",
                "state": where.state, "next": where.next, "behind": max(0, last - where.next),
                "sent": where.sent, "filtered": where.filtered, "lost": where.lost,
                "why": where.why, "time": where.time,
            }
        )  # fmt: skip
    for row in rows:
        _print(row, json)
    if not rows and not json:
        print("no sinks: belljar log sinks --add URL registers one")


def _print(row: dict[str, Any], json: bool) -> None:
    from belljar.cli.log_text import safe

    if json:
        from belljar.ledger.sinks.fields import compact

        print(compact(row))
        return
    print(f"{safe(row['id'])}  {safe(str(row.get('sink', '')))}")
    if "next" in row:
        print(
            f"  {safe(row['state'])}: {row['sent']} sent, {row['behind']} behind "
            f"(next #{row['next']}), {row['filtered']} filtered, {row['lost']} lost; "
            f"runs: {row['runs']}"
        )
        if row["why"]:
            print(f"  {safe(row['why'])}")
    else:
        print("  its file cannot be read: remove it and add it again")


def _number(text: str) -> int:
    from argparse import ArgumentTypeError

    word = text.removeprefix("#")
    if not word.isascii() or not word.isdigit() or not 0 < len(word) < 19 or not int(word):
        raise ArgumentTypeError("expected the number of an entry, such as 412")
    return int(word)


def _seconds(text: str) -> float:
    from argparse import ArgumentTypeError

    from belljar.policy.units import parse_time

    try:
        return float(parse_time(text if not text.isdigit() else f"{text}s"))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
