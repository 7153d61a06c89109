"""`belljar watch`: run a program unrestricted, record it and its children, say what it did.

Exit status: the program's own (128 + n for a signal); 123 the program succeeded and --fail-on
found something, 126 not executable, 127 not found, 125 Belljar failed and nothing of the program
ran, 2 usage.
"""

from __future__ import annotations

import os
import sys

from belljar.cli.watch_options import USAGE, Options, parse
from belljar.errors import BelljarError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from belljar.model import Rule
    from belljar.watch.run import Watched
    from belljar.watch.terminal import Borrowed

FAILED_ON = 123


def main(argv: list[str]) -> int:
    """Run `belljar watch` with `argv` (without the words `belljar watch`); the exit status.

    >>> main(["--quiet", "--ledger", "none", "-c", "raise SystemExit(3)"])  # doctest: +SKIP
    3
    """
    if argv[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    try:
        return _run(parse(argv))
    except BelljarError as error:
        from belljar.report.text import printable

        sys.stderr.write(f"belljar: {printable(str(error))}\n")
        if isinstance(error, UsageError):
            sys.stderr.write("try: belljar watch --help\n")
        return error.exit_code
    except OSError as error:
        from belljar.report.text import printable

        place = f"{printable(str(error.filename))}: " if error.filename is not None else ""
        sys.stderr.write(f"belljar: cannot watch: {place}{error.strerror}\n")
        return 125


def _check_script(script: str) -> None:
    """Say what a shell would say; the interpreter's own status for a missing script is 2."""
    from belljar.errors import ProgramNotExecutable, ProgramNotFound

    if script in ("-c", "-m", "-"):
        return
    if not os.path.exists(script):
        raise ProgramNotFound(f"cannot run {script}: no such file")
    if os.path.isdir(script) and not os.path.exists(os.path.join(script, "__main__.py")):
        raise ProgramNotExecutable(f"cannot run {script}: it is a directory")


def _run(options: Options) -> int:
    from belljar.cli.watch_session import Session
    from belljar.watch import command, run
    from belljar.watch.record import Record
    from belljar.watch.selection import Selection

    if options.is_python:
        _check_script(options.command[0])
        words = [command.python(options.python, os.environ), *options.command]
    else:
        words = list(options.command)
    path = command.program(words[0], os.environ)
    _declare(path)
    selection = Selection(options.events, options.right)
    own, shipped = _rules(options.rules)
    _doubt(options.events, own)
    borrowed = _borrow() if options.live else None
    with (
        Record(options.ledger, options.sync, options.sinks) as record,
        _Output(options.to) as out,
    ):
        session = Session(options, selection, own, shipped, record, out)
        record.start(words)

        def start() -> Watched:
            return run.watch(
                [path, *words[1:]],
                os.environ,
                session.take,
                session.work,
                speaks=options.is_python,
                settings=session.settings(),
                prefix=session.prefix(),
                ready=session.ready,
            )

        if borrowed is None:
            result = start()
        else:
            with borrowed:
                view = session.begin_live(borrowed)
                try:
                    result = start()
                finally:
                    view.stop()
        record.end(result)
        failed = session.finish(result)
        return FAILED_ON if failed and result.status == 0 else result.status


def _declare(program: str) -> None:
    """Know the events that the packages at hand declare, before anyone selects or judges any."""
    from belljar.events.declared import declared, places, register
    from belljar.report.text import printable

    found = declared(places(program, os.environ.get("PYTHONPATH", "")))
    register(found.events)
    for problem in found.problems:
        sys.stderr.write(f"belljar: declared events: {printable(problem)}\n")


def _doubt(patterns: list[str], rules: list[Rule]) -> None:
    """Names that are taken for an application's are told where a slip of the pen is likely."""
    asked = list(patterns)
    for rule in rules:
        for one in (rule, rule.after):
            if one is not None:
                asked += [one.event] if isinstance(one.event, str) else one.event
    for pattern in dict.fromkeys(word.removeprefix("!") for word in asked):
        from belljar.events.namespaces import alike
        from belljar.report.text import printable

        if near := alike(pattern):
            text = f"{printable(pattern)} is taken for an application's; near: {', '.join(near)}"
            sys.stderr.write(f"belljar: warning: {text}\n")


def _borrow() -> Borrowed:
    """Raises `UsageError` where there is no terminal to draw on, or nothing to draw with."""
    from belljar.watch.terminal import Borrowed

    try:
        import rich  # noqa: F401
    except ImportError:
        raise UsageError("--live needs the library rich, which is not installed") from None
    return Borrowed(2)


def _rules(files: list[str]) -> tuple[list[Rule], bool]:
    """The rules in `files`, and whether the shipped ones count, too: not with `none` among them."""
    own: list[Rule] = []
    for file in files:
        if file != "none":
            from belljar.policy.rulefile import load_rules

            own += load_rules(file)
    return own, "none" not in files


class _Output:
    """A stream to write to that is closed only if it is ours."""

    def __init__(self, to: str | None) -> None:
        self._to = to
        self.stream: TextIO = sys.stderr
        if to is not None:
            fd = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            self.stream = os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace")

    def __enter__(self) -> TextIO:
        return self.stream

    def __exit__(self, *_exception: object) -> None:
        if self._to is None:
            return
        try:
            self.stream.close()
        except OSError as error:
            from belljar.report.text import printable

            place = printable(self._to)
            sys.stderr.write(f"belljar: cannot write all of {place}: {error.strerror}\n")
