"""`belljar log`: what is done with a ledger. Each command is a module of its own, in `COMMANDS`.

Exit status: 0 yes, 1 no (does not verify, no such entry, no ledger), 2 usage; a command that has
others says so.
"""

from __future__ import annotations

import os
import sys

from belljar.errors import LedgerError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from typing import Final

#: name -> module beneath `belljar.cli`, help. The module has `arguments(parser)` and
#: `act(options) -> status`; `options.directory` is the ledger: DIR, `--ledger DIR` or one's own.
COMMANDS: Final = {
    "verify": ("log_verify", "prove it whole, or name the first flaw"),
    "checkpoint": ("log_checkpoint", "sign what is in it now"),
    "prove": ("log_prove", "that an entry is in the tree; --check FILE needs no ledger"),
    "consistency": ("log_consistency", "that one size of the tree is how another began"),
    "collect": ("log_collect", "record what others on this machine send over a socket"),
    "tail": ("log_tail", "the last entries, one a line"),
    "show": ("log_show", "one entry with all its fields"),
    "query": ("log_query", "ask in SQL: events, runs, decisions, alerts"),
    "export": ("log_export", "for other systems: JSON lines, Parquet, OCSF, SARIF"),
    "prune": ("log_prune", "delete closed books older than a date; the rest stays provable"),
    "sinks": ("log_sinks", "where it goes besides, how far each sink is, what it lost"),
    "witness": ("log_witness", "cosign checkpoints from another place, or ask for it"),
}


def main(argv: list[str]) -> int:
    """Run `belljar log` with `argv` (without the words `belljar log`); the exit status.

    >>> main(["verify", "/tmp/example"])  # doctest: +SKIP
    whole: 3 records, 12 entries, 1 runs
    0
    """
    from importlib import import_module

    try:
        _overview().parse_args(argv[:1])
        command = import_module(f"belljar.cli.{COMMANDS[argv[0]][0]}")
        parser = _parser(f"belljar log {argv[0]}", COMMANDS[argv[0]][1])
        command.arguments(parser)
        options = parser.parse_intermixed_args(argv[1:])
    except SystemExit as stop:
        return 2 if stop.code else 0
    from belljar.ledger.place import default_directory, readable

    given = getattr(options, "directory", None) or getattr(options, "ledger", None)
    options.directory = given or default_directory()
    try:
        readable(options.directory)
        status: int = command.act(options)
        sys.stdout.flush()
        return status
    except (LedgerError, UsageError) as error:
        from belljar.cli.log_text import safe

        sys.stdout.flush()
        print(f"belljar: {safe(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # Whoever read has enough; the interpreter must not complain when it flushes again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser(name: str, text: str) -> ArgumentParser:
    from argparse import ArgumentParser

    return ArgumentParser(prog=name, description=text, allow_abbrev=False)


def _overview() -> ArgumentParser:
    """Only the names of the commands: one more module is imported than is used, not a dozen."""
    parser = _parser("belljar log", "the ledger: the record of every run")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_module, text) in COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser
