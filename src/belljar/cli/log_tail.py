"""`belljar log tail`: the last entries, one a line, and those that come."""

from __future__ import annotations

import sys
import time

from belljar.cli.log_text import count, json_text, print_json, safe, when, with_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

    from belljar.ledger.entries import Entry

_LINE: Final = 400  # characters of guest text in a line
_POLL: Final = 0.2


def arguments(parser: ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on as entries are added")
    parser.add_argument("-n", type=count, default=20, metavar="N", help="how many (20)")
    with_directory(parser)


def act(options: Namespace) -> int:
    """0; with `--follow` when whoever reads has enough."""
    from belljar.ledger.entries import expand
    from belljar.ledger.reader import Reader

    with Reader(options.directory) as reader:
        start = reader.skip_to_last(options.n)
        while True:
            for record in reader.records(start):
                for entry in expand(record):
                    if entry.number < start:
                        continue
                    if options.json:
                        print_json(entry.plain())
                    else:
                        print(line(entry))
            sys.stdout.flush()
            if not options.follow:
                return 0
            start = reader.position
            while not reader.grown():
                time.sleep(_POLL)


def line(entry: Entry) -> str:
    """`entry` in one line that is safe to print."""
    pid = str(entry.pid) if entry.pid else "-"
    text = _text(entry).rstrip()
    run = entry.run[:4].hex() if any(entry.run) else "-"
    return f"#{entry.number} {when(entry.time)} {run} {pid} {safe(text, _LINE)}"


def _text(entry: Entry) -> str:
    """What happened, in one line that still has to be escaped."""
    if entry.kind == "broken":
        return f"broken ({entry.reason}) {entry.raw[:60].hex()}"
    data = entry.plain()["data"]

    def get(name: str) -> str:
        value = data.get(name)
        return "" if value is None else value if isinstance(value, str) else json_text(value)

    if entry.kind == "event":
        what = f"{get('right')} {get('target') or get('asked')}" if data.get("right") else ""
        refused = " refused" if data.get("refused") else ""
        return f"{get('name')}{refused} {what.strip() or get('args')}"
    if entry.kind == "decision":
        if get("kind") == "call":
            return f"called {get('target')}"
        right = f"[{get('right')}]" if data.get("right") else ""
        because = f": {get('because')}" if data.get("because") else ""
        return f"{get('verdict') or 'decision'}{right} {get('target')}{because}"
    if entry.kind == "recovered":
        return f"recovered {get('length')} torn bytes of offset {get('offset')} in {get('file')}"
    if entry.kind == "start":
        from belljar.ledger.starts import Started

        words = "start", get("kind") or get("mode"), Started(entry.data).command
        return " ".join(filter(None, words))
    if entry.kind == "bye":
        return f"bye after {entry.seq} events, {get('drops')} dropped"
    if entry.kind == "syscall":
        return f"syscall {get('name')} {get('target')}"
    if entry.kind == "hello":
        return f"hello python {get('python')} {get('argv')}"
    short = {k: v for k, v in data.items() if isinstance(v, (str, int, float, bool))}
    return entry.kind + "".join(f" {k}={v}" for k, v in short.items())
