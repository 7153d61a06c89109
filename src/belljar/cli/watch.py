"""`belljar watch`: run a program unrestricted, record it and its children, say what it did.

Exit status: the program's own (128 + n for a signal); 123 the program succeeded and --fail-on
found something, 126 not executable, 127 not found, 125 Belljar failed and nothing of the program
ran, 2 usage.
"""

from __future__ import annotations

import os
import sys

from belljar.errors import BelljarError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, TextIO

    from belljar.report.view import View
    from belljar.watch.collect import Chunk
    from belljar.watch.findings import Finding
    from belljar.watch.record import Record
    from belljar.watch.run import Watched
    from belljar.watch.selection import Selection

_USAGE: Final = """\
usage: belljar watch [options] SCRIPT [ARGS...]
       belljar watch [options] -c CODE [ARGS...] | -m MODULE [ARGS...]
       belljar watch [options] -- COMMAND [ARGS...]

Run a program, restrict nothing, record everything it and its children do.

what is recorded:
  --events NAMES        only these events, with commas: open,socket.*
  --right RIGHTS        only events that need one of these rights: connect,run
  --stacks N            N frames of the stack with each event, 0 to 32 (0)
  --locals              their local variables, where they are simple
  --cross-check         compare with what the kernel saw
  --ledger DIR          where the record goes: a directory, auto or none (auto)
  --on-overflow WHAT    when Belljar cannot keep up: block, drop or exit (block)
  --must-log RIGHTS     these wait until the record has them, and are refused without
  --deadline TIME       how long they wait (5s)

rules:
  --rules FILE          rules of your own besides the shipped ones; none: not those either
  --fail-on WHAT        alert, finding: exit 123 where the program itself had succeeded

what is shown:
  --live                a view that is updated while the program runs
  --json                one event a line, as JSON, instead of the summary
  --quiet               print nothing
  --to FILE             the summary or JSON goes there (standard error)
  --python PATH         the interpreter for SCRIPT, -c and -m
"""
_FLAGS: Final = frozenset(("json", "quiet", "live", "locals", "cross-check"))
_LISTS: Final = frozenset(("events", "right", "must-log", "fail-on", "rules"))
_VALUES: Final = _LISTS | {"ledger", "python", "to", "stacks", "on-overflow", "deadline"}


class Options:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.json = self.quiet = self.live = self.locals = self.cross_check = False
        self.ledger = "auto"
        self.python: str | None = None
        self.to: str | None = None
        self.events: list[str] = []
        self.right: list[str] = []
        self.must_log: list[str] = []
        self.fail_on: list[str] = []
        self.rules: list[str] = []
        self.stacks = 0
        self.on_overflow = "block"
        self.deadline = 5.0
        self.command: list[str] = []
        self.is_python = True


def parse(argv: list[str]) -> Options:
    """Options and command of `argv`. Raises `UsageError`.

    >>> parse(["--quiet", "-c", "pass", "x"]).command
    ['-c', 'pass', 'x']
    """
    options, rest = Options(), list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if word == "--":
            options.command, options.is_python = rest, False
            break
        if word.startswith("--") and name in _FLAGS and not equals:
            setattr(options, name.replace("-", "_"), True)
        elif word.startswith("--") and name in _VALUES:
            if not equals:
                if not rest:
                    raise UsageError(f"--{name} needs a value")
                value = rest.pop(0)
            _set(options, name, value)
        elif word in ("-c", "-m"):
            if not rest:
                raise UsageError(f"{word} needs a value")
            options.command = [word, *rest]
            break
        elif word.startswith("-") and word != "-":
            raise UsageError(f"unknown option {word}{_near(name)}")
        else:
            options.command = [word, *rest]
            break
    _check(options)
    return options


def _near(name: str) -> str:
    from difflib import get_close_matches

    found = get_close_matches(name, sorted(_FLAGS | _VALUES), 1)
    return f"; near: --{found[0]}" if found else ""


def _set(options: Options, name: str, value: str) -> None:
    field = name.replace("-", "_")
    if name in _LISTS:
        words = [value] if name == "rules" else [word.strip() for word in value.split(",")]
        if not all(words):
            raise UsageError(f"--{name} has an empty entry: {value!r}")
        getattr(options, field).extend(words)
    elif name == "stacks":
        if not (value.isascii() and value.isdigit() and len(value) < 3 and int(value) <= 32):
            raise UsageError(f"--stacks takes a number from 0 to 32, not {value!r}")
        options.stacks = int(value)
    elif name == "deadline":
        from belljar.policy.units import parse_time

        try:
            options.deadline = parse_time(value)
        except ValueError as error:
            raise UsageError(f"--deadline: {error}") from None
        if options.deadline > 86400:
            raise UsageError("--deadline: at most a day")
    else:
        setattr(options, field, value)


def _check(options: Options) -> None:
    """Raises `UsageError` for what does not go together."""
    for name, values, known in (
        ("on-overflow", [options.on_overflow], ("block", "drop", "exit")),
        ("fail-on", options.fail_on, ("alert", "finding")),
    ):
        for value in values:
            if value not in known:
                raise UsageError(f"--{name} takes {', '.join(known)}, not {value!r}")
    if options.must_log or options.right:
        from belljar.watch.selection import check_right

        for right in (*options.must_log, *options.right):
            check_right(right)
    if options.must_log and options.ledger == "none":
        raise UsageError("--must-log needs a record: --ledger none keeps none")
    if options.live and options.quiet:
        raise UsageError("--live and --quiet do not go together")
    if options.live and options.json and options.to is None:
        raise UsageError("--live and --json need --to FILE for the JSON")
    if options.locals:
        options.stacks = options.stacks or 1
    if not options.command:
        raise UsageError("nothing to run: give SCRIPT, -c, -m or -- COMMAND")


def main(argv: list[str]) -> int:
    """Run `belljar watch` with `argv` (without the words `belljar watch`); the exit status.

    >>> main(["--quiet", "--ledger", "none", "-c", "raise SystemExit(3)"])  # doctest: +SKIP
    3
    """
    if argv[:1] in (["-h"], ["--help"]):
        sys.stdout.write(_USAGE)
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
        sys.stderr.write(f"belljar: cannot watch: {error.strerror}\n")
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
    from belljar.watch import command, run
    from belljar.watch.record import Record
    from belljar.watch.selection import Selection

    selection = Selection(options.events, options.right)
    if options.is_python:
        _check_script(options.command[0])
        words = [command.python(options.python, os.environ), *options.command]
    else:
        words = list(options.command)
    path = command.program(words[0], os.environ)
    with Record(options.ledger) as record, _Output(options.to) as out:
        watching = _Watching(options, selection, record, out)
        record.start(words)
        result = run.watch(
            [path, *words[1:]],
            os.environ,
            watching.take,
            watching.work,
            speaks=options.is_python,
            settings=watching.settings(),
        )
        record.end(result)
        findings = watching.finish(result)
        failed = "finding" in options.fail_on and findings
        return 123 if failed and result.status == 0 else result.status


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


class _Watching:
    """Everyone who wants to know of a chunk, in their order: the record first."""

    def __init__(self, options: Options, selection: Selection, record: Record, out: TextIO) -> None:
        self._options, self._selection, self._record, self._out = options, selection, record, out
        self._view: View | None = None
        self._deaf = False  # whoever read the output has gone
        if not options.quiet:
            self._view = self._make_view()

    def _make_view(self) -> View:
        from belljar.report.summary import Summary
        from belljar.report.view import View
        from belljar.watch.attribute import Attribution

        options = self._options
        first = options.command[0]
        script = first if options.is_python and first not in ("-c", "-m", "-") else None
        name = os.path.basename(script) if script else ""
        summary = Summary(os.getcwd(), os.environ.get("HOME", ""), name)
        write = self._write_json if options.json else None
        return View(summary, Attribution(script), self._selection, write)

    def settings(self) -> str:
        """What the recorder is told."""
        from belljar.watch import attach

        options = self._options
        return attach.settings(
            options.on_overflow,
            options.deadline,
            options.stacks,
            options.locals,
            self._selection.lines(),
            resolve=True,
        )

    def take(self, chunks: list[Chunk]) -> None:
        """Frames came."""
        self._record.take(chunks)
        if self._view is not None:
            self._view.take(chunks)

    def work(self) -> bool:
        """There is time; True while there is work for it."""
        return self._view is not None and self._view.work()

    def finish(self, result: Watched) -> list[Finding]:
        """Show what is still to be shown; everything that is wrong with the record."""
        findings = [*result.findings, *self._record.findings]
        view = self._view
        if view is None:
            return findings
        view.finish()
        if view.broken:
            from belljar.watch.findings import Finding

            text = f"{view.broken} frames could not be decoded"
            findings.append(Finding("malformed", 0, view.broken, 0, text))
        view.summary.processes.settle(findings)
        if self._options.json:
            for finding in findings:
                self._write_json({**finding.plain(), "kind": "finding", "finding": finding.kind})
        else:
            self._write_summary(view, result, findings)
        return findings

    def _write_summary(self, view: View, result: Watched, findings: list[Finding]) -> None:
        from belljar.report.summary import HEIGHT, WIDTH
        from belljar.report.text import wants_colour

        width, height = WIDTH, HEIGHT
        if self._out.isatty():
            size = os.get_terminal_size(self._out.fileno())
            width, height = max(60, size.columns), max(20, size.lines - 1)
        summary = view.summary
        summary.events = result.events
        summary.left_out = max(0, result.events - view.shown - view.shed)
        lines = summary.lines(
            findings,
            ended=_ended(result),
            colour=wants_colour(self._out),
            width=width,
            height=height,
        )
        self._write("".join(f"{line}\n" for line in lines))

    def _write_json(self, value: dict[str, Any]) -> None:
        import json

        self._write(json.dumps(value) + "\n")

    def _write(self, text: str) -> None:
        """Whoever read may have gone; that is no reason to leave the program unrecorded."""
        if self._deaf:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:
            self._deaf = True


def _ended(result: Watched) -> str:
    if not result.signal:
        return f"exit status {result.status}" if result.status else ""
    import signal

    try:
        return f"ended by {signal.Signals(result.signal).name}"
    except ValueError:
        return f"ended by signal {result.signal}"
