"""`belljar log`: prove the ledger whole, follow it, show one entry.

Exit status: 0 yes, 1 no (does not verify, no such entry, no ledger), 2 usage. A torn end, which
only says that a writer was killed, is told and is still 0.
"""

from __future__ import annotations

import os
import sys
import time

from belljar.errors import LedgerCorrupt, LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable
    from typing import Any, Final

    from belljar.ledger.entries import Entry

_LINE: Final = 400  # characters of guest text in a line of `tail`
_MOST_RUNS: Final = 20
_POLL: Final = 0.2


def main(argv: list[str]) -> int:
    """Run `belljar log` with `argv` (without the words `belljar log`); the exit status.

    >>> main(["verify", "/tmp/example"])  # doctest: +SKIP
    whole: 3 records, 12 entries, 1 runs
    0
    """
    try:
        options = _parser().parse_args(_options_first(argv))
    except SystemExit as stop:
        return 2 if stop.code else 0
    from belljar.ledger.place import default_directory

    options.directory = options.directory or default_directory()
    act: Callable[[Namespace], int] = options.act
    try:
        status = act(options)
        sys.stdout.flush()
        return status
    except LedgerError as error:
        sys.stdout.flush()
        print(f"belljar: {_printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # Whoever read has enough; the interpreter must not complain when it flushes again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _options_first(argv: list[str]) -> list[str]:
    """argparse does not take an optional positional after an option: put the options first."""
    options: list[str] = []
    rest: list[str] = []
    for word in argv[1:]:
        value = bool(options) and options[-1] == "-n"
        (options if word.startswith("-") or value else rest).append(word)
    return argv[:1] + options + rest


def _parser() -> ArgumentParser:
    from argparse import ArgumentParser

    parser = ArgumentParser(prog="belljar log", description="the ledger: the record of every run")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    verify = commands.add_parser("verify", help="prove it whole, or name the first flaw")
    tail = commands.add_parser("tail", help="the last entries, one a line")
    tail.add_argument("-f", "--follow", action="store_true", help="go on as entries are added")
    tail.add_argument("-n", type=_count, default=20, metavar="N", help="how many (20)")
    show = commands.add_parser("show", help="one entry with all its fields")
    show.add_argument("number", type=_number, metavar="N", help="its number: 412 or '#412'")
    for command, act in ((verify, _verify), (tail, _tail), (show, _show)):
        command.add_argument("directory", nargs="?", metavar="DIR", help="default: your own")
        command.add_argument("--json", action="store_true", help="one JSON object a line")
        command.set_defaults(act=act)
    return parser


def _count(text: str) -> int:
    return _whole(text, "how many entries")


def _number(text: str) -> int:
    return _whole(text.removeprefix("#"), "the number of an entry, such as 412 or '#412'")


def _whole(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"expected {what}, got {_printable(repr(text), 60)}")
    return int(text)


def _verify(options: Namespace) -> int:
    from belljar.ledger.reader import verify

    try:
        report = verify(options.directory)
    except LedgerCorrupt as error:
        if options.json:
            _print_json({"whole": False, "error": str(error), "offset": error.offset})
        else:
            print(f"broken: {_printable(str(error))}")
        return 1
    if options.json:
        from belljar.ledger.entries import plain

        fields = {name: getattr(report, name) for name in report.__fields__}
        fields["unfinished"] = [run.hex() for run in report.unfinished]
        fields["head"] = report.head.hex()
        _print_json({"whole": True, **plain(fields)})
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


def _tail(options: Namespace) -> int:
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
                        _print_json(entry.plain())
                    else:
                        print(_line(entry))
            sys.stdout.flush()
            if not options.follow:
                return 0
            start = reader.position
            while not reader.grown():
                time.sleep(_POLL)


def _show(options: Namespace) -> int:
    from belljar.ledger.entries import entry

    found = entry(options.directory, options.number)
    if options.json:
        _print_json(found.plain())
        return 0
    fields = found.plain()
    fields.pop("data", None)
    fields["time"], fields["recorded"] = _time(found.time), _time(found.recorded)
    fields["entry"] = f"#{found.number}"
    for name, value in found.plain().get("data", {}).items():
        if name not in fields:
            fields[name] = value
        elif found.kind not in ("hello", "event", "bye"):
            fields[f"data.{name}"] = value
    width = min(20, max(len(name) for name in fields))
    for name, value in fields.items():
        text = value if isinstance(value, str) else _json(value)
        lines = text.split("\n") if found.kind != "broken" else [text]
        print(f"{_printable(name):{width}}  {_printable(lines[0])}".rstrip())
        for line in lines[1:]:
            print(f"{'':{width}}  {_printable(line)}".rstrip())
    return 0


def _line(entry: Entry) -> str:
    pid = str(entry.pid) if entry.pid else "-"
    text = _text(entry).rstrip()
    run = entry.run[:4].hex() if any(entry.run) else "-"
    return f"#{entry.number} {_time(entry.time)} {run} {pid} {_printable(text, _LINE)}"


def _text(entry: Entry) -> str:
    """What happened, in one line that still has to be escaped."""
    if entry.kind == "broken":
        return f"broken ({entry.reason}) {entry.raw[:60].hex()}"
    data = entry.plain()["data"]

    def get(name: str) -> str:
        value = data.get(name)
        return "" if value is None else value if isinstance(value, str) else _json(value)

    if entry.kind == "event":
        what = f"{get('right')} {get('target') or get('asked')}" if data.get("right") else ""
        refused = " refused" if data.get("refused") else ""
        return f"{get('name')}{refused} {what.strip() or get('args')}"
    if entry.kind == "decision":
        right = f"[{get('right')}]" if data.get("right") else ""
        because = f": {get('because')}" if data.get("because") else ""
        return f"{get('verdict') or 'decision'}{right} {get('target')}{because}"
    if entry.kind == "recovered":
        return f"recovered {get('length')} torn bytes of offset {get('offset')} in {get('file')}"
    if entry.kind == "start":
        argv = data.get("argv")
        words = argv if isinstance(argv, list) else [get("argv")]
        guest = f"{get('guest')}: " if data.get("guest") else ""
        return f"start {guest}" + " ".join(map(str, words))
    if entry.kind == "bye":
        return f"bye after {entry.seq} events, {get('drops')} dropped"
    if entry.kind == "syscall":
        return f"syscall {get('name')} {get('target')}"
    if entry.kind == "hello":
        return f"hello python {get('python')} {get('argv')}"
    short = {k: v for k, v in data.items() if isinstance(v, (str, int, float, bool))}
    return entry.kind + "".join(f" {k}={v}" for k, v in short.items())


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 10**6:03}Z"


def _json(value: Any) -> str:
    import json

    # ASCII only, so that nothing in it can drive a terminal; JSON leaves DEL as it is.
    return json.dumps(value, separators=(", ", ": ")).replace("\x7f", "\\u007f")


def _print_json(value: dict[str, Any]) -> None:
    print(_json(value))


def _printable(text: str, limit: int = 1 << 24) -> str:
    from belljar.report.text import printable

    return printable(text, limit)
