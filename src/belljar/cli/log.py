"""`belljar log`: what is done with a ledger. Each command is a module of its own, in `COMMANDS`.

Exit status: 0 yes, 1 no (does not verify, no such entry, no ledger, an answer that cannot be
written), 2 usage, 130 interrupted, 141 whoever reads the output went away (0 for tail, show, query
and export); a command that has others says so. With `--json` what goes wrong is an object of its
own on standard output, too: `error`, `code` (`usage`, `corrupt` or `failed`) and `status`.
"""

from __future__ import annotations

import os
import sys

from belljar.errors import LedgerCorrupt, LedgerError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable
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

#: Commands that go on until somebody stops them: that is no failure of theirs.
_UNTIL_STOPPED: Final = ("tail", "witness", "collect")
#: Commands whose reader may have enough before the end; for others what they found is not known.
_FOR_READERS: Final = ("tail", "show", "query", "export")
_ENOUGH: Final = 141


def main(argv: list[str]) -> int:
    """Run `belljar log` with `argv` (without the words `belljar log`); the exit status.

    >>> main(["verify", "/tmp/example"])  # doctest: +SKIP
    whole: 3 records, 12 entries, 1 run
    0
    """
    from importlib import import_module

    _streams()
    try:
        _overview().parse_args(argv[:1])
        command = import_module(f"belljar.cli.{COMMANDS[argv[0]][0]}")
        parser = _parser(f"belljar log {argv[0]}", COMMANDS[argv[0]][1], _examples(argv[0]))
        command.arguments(parser)
        options = parser.parse_intermixed_args(argv[1:])
    except SystemExit as stop:
        wrong = UsageError("the command line was not understood; standard error says why")
        if stop.code and "--json" in argv:
            return _written(lambda: _told(wrong, json=True))
        status = 2 if stop.code else 0
        return _written(lambda: status)
    from belljar.ledger.place import default_directory, readable

    given = getattr(options, "directory", None) or getattr(options, "ledger", None)
    options.directory = given or default_directory()

    def act() -> int:
        try:
            readable(options.directory)
            status: int = command.act(options)
        except (LedgerError, UsageError) as error:
            return _told(error, json=getattr(options, "json", False) is True)
        except KeyboardInterrupt:
            return 0 if argv[0] in _UNTIL_STOPPED else 130
        return status

    ended = _written(act)
    return 0 if ended == _ENOUGH and argv[0] in _FOR_READERS else ended


def _written(act: Callable[[], int]) -> int:
    """What `act` returns, with all that it printed; told in one line where that cannot be."""
    status = _ENOUGH
    try:
        status = act()
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        _drop_output()
        what = "cannot write the answer" if error.filename is None else str(error.filename)
        _say(f"{what}: {error.strerror or 'standard output is closed'}")
        return 1
    return status


def _told(error: LedgerError | UsageError, *, json: bool) -> int:
    """Say what is wrong; its exit status."""
    status = 2 if isinstance(error, UsageError) else 1
    if json:
        from belljar.cli.log_text import print_json

        code = "corrupt" if isinstance(error, LedgerCorrupt) else "failed"
        code = "usage" if status == 2 else code
        print_json({"error": str(error), "code": code, "status": status})
    sys.stdout.flush()
    _say(str(error))
    return status


def _say(text: str) -> None:
    """One line on standard error, if that takes any."""
    from contextlib import suppress

    from belljar.cli.log_text import safe

    with suppress(OSError):
        print(f"belljar: {safe(text)}", file=sys.stderr, flush=True)


def _streams() -> None:
    """Python has None for streams that were closed from the start: writing then fails like
    writing to a full disk, and is not forgotten."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, encoding="utf-8")  # noqa: SIM115 (takes no byte)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _drop_output() -> None:
    """What is still to be written goes nowhere: the interpreter must not complain when it flushes
    again."""
    from contextlib import suppress

    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    with suppress(OSError):  # no descriptor beneath it: nothing will be flushed
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _parser(name: str, text: str, examples: str = "") -> ArgumentParser:
    from argparse import ArgumentParser, RawDescriptionHelpFormatter

    return ArgumentParser(
        prog=name, description=text, epilog=examples, allow_abbrev=False,
        formatter_class=RawDescriptionHelpFormatter,
    )  # fmt: skip


def _examples(name: str) -> str:
    from belljar.cli.log_examples import EXAMPLES

    return "examples:\n" + "\n".join(f"  belljar log {one}" for one in EXAMPLES[name])


def _overview() -> ArgumentParser:
    """Only the names of the commands: one more module is imported than is used, not a dozen."""
    parser = _parser("belljar log", "the ledger: the record of every run")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_module, text) in COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser
