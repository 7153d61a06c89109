"""What the commands of `belljar log` share: numbers of the command line, JSON, times, escapes."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from typing import Any


def with_directory(parser: ArgumentParser) -> None:
    """The arguments that nearly every command has: an optional DIR, last, and `--json`.

    A command with another positional takes `--ledger DIR` (`with_ledger`) instead.
    """
    parser.add_argument("directory", nargs="?", metavar="DIR", help="default: your own")
    with_json(parser)


def with_ledger(parser: ArgumentParser) -> None:
    """`--ledger DIR`, for commands whose positionals are others."""
    parser.add_argument("--ledger", metavar="DIR", help="the ledger; default: your own")


def with_json(parser: ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def count(text: str) -> int:
    """An argparse type: how many entries."""
    return _whole(text, "how many entries")


def entry_number(text: str) -> int:
    """An argparse type: `412` or `#412`."""
    return _whole(text.removeprefix("#"), "the number of an entry, such as 412 or '#412'")


def _whole(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"expected {what}, got {safe(repr(text), 60)}")
    return int(text)


def when(nanoseconds: int) -> str:
    """UTC, to the millisecond.

    >>> when(10**18)
    '2001-09-09T01:46:40.000Z'
    """
    seconds, rest = divmod(nanoseconds, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 10**6:03}Z"


def json_text(value: Any) -> str:
    """JSON in ASCII only, so that nothing in it can drive a terminal; JSON leaves DEL as it is."""
    import json

    return json.dumps(value, separators=(", ", ": ")).replace("\x7f", "\\u007f")


def print_json(value: dict[str, Any]) -> None:
    """One JSON object, one line."""
    print(json_text(value))


def safe(text: str, limit: int = 1 << 24) -> str:
    """`text` escaped for a terminal."""
    from belljar.report.text import printable

    return printable(text, limit)
