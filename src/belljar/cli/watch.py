"""`belljar watch`: run a program unrestricted, record it and its children, say what it did.

Exit status: the program's own (128 + n for a signal); 123 the program succeeded and --fail-on
found something, 126 not executable, 127 not found, 125 Belljar failed and nothing of the program
ran, 2 usage.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from belljar.cli.watch_options import USAGE, Options, parse
from belljar.errors import BelljarError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TextIO

    from belljar.policy.rules import Rules
    from belljar.report.live import Counts
    from belljar.report.view import View
    from belljar.watch.arbiter import Alert
    from belljar.watch.attribute import Attribution
    from belljar.watch.collect import Chunk, Collector
    from belljar.watch.coverage import Coverage
    from belljar.watch.crosscheck import CrossCheck
    from belljar.watch.findings import Finding
    from belljar.watch.record import Record
    from belljar.watch.run import Watched
    from belljar.watch.selection import Selection
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

    if options.is_python:
        _check_script(options.command[0])
        words = [command.python(options.python, os.environ), *options.command]
    else:
        words = list(options.command)
    path = command.program(words[0], os.environ)
    _declare(path)
    selection = Selection(options.events, options.right)
    rules = _rules(options.rules)
    borrowed = _borrow() if options.live else None
    with Record(options.ledger) as record, _Output(options.to) as out:
        watching = _Watching(options, selection, rules, record, out)
        record.start(words)
        with watching.live(borrowed):
            result = run.watch(
                [path, *words[1:]],
                os.environ,
                watching.take,
                watching.work,
                speaks=options.is_python,
                settings=watching.settings(),
                prefix=watching.prefix(),
                ready=watching.ready,
            )
        record.end(result)
        failed = watching.finish(result)
        return FAILED_ON if failed and result.status == 0 else result.status


def _declare(program: str) -> None:
    """Know the events that the packages at hand declare, before anyone selects or judges any."""
    from belljar.events.declared import declared, places, register
    from belljar.report.text import printable

    found = declared(places(program, os.environ.get("PYTHONPATH", "")))
    register(found.events)
    for problem in found.problems:
        sys.stderr.write(f"belljar: declared events: {printable(problem)}\n")


def _borrow() -> Borrowed:
    """Raises `UsageError` where there is no terminal to draw on, or nothing to draw with."""
    from belljar.watch.terminal import Borrowed

    try:
        import rich  # noqa: F401
    except ImportError:
        raise UsageError("--live needs the library rich, which is not installed") from None
    return Borrowed(2)


def _rules(files: list[str]) -> Rules:
    """The shipped rules, and those in `files`; `none` among them turns the shipped ones off."""
    from belljar.policy.rulefile import load_rules, shipped
    from belljar.policy.rules import Rules

    own = [rule for file in files if file != "none" for rule in load_rules(file)]
    return Rules([*(() if "none" in files else shipped()), *own])


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

    def __init__(
        self, options: Options, selection: Selection, rules: Rules, record: Record, out: TextIO
    ) -> None:
        from belljar.watch.arbiter import Arbiter
        from belljar.watch.attribute import Attribution

        self._options, self._selection, self._record, self._out = options, selection, record, out
        first = options.command[0]
        self._script = first if options.is_python and first not in ("-c", "-m", "-") else None
        attribution = Attribution(self._script)
        self._arbiter = Arbiter(
            rules,
            options.must_log,
            package_of=attribution.of,
            tell=self._tell,
            answer=self._answer,
            keep=record.alert,
        )
        self._collector: Collector | None = None
        self._counts: Counts | None = None
        self._cross: CrossCheck | None = None
        if options.cross_check:
            from belljar.watch.crosscheck import CrossCheck

            self._cross = CrossCheck()
        self._view = None if options.quiet else self._make_view(attribution, rules)
        self._deaf = False  # whoever read the output has gone

    def _make_view(self, attribution: Attribution, rules: Rules) -> View:
        from belljar.report.summary import Summary
        from belljar.report.view import View

        summary = Summary(os.getcwd(), os.environ.get("HOME", ""), self._script or "")
        write = self._write_json if self._options.json else None
        return View(summary, attribution, self._selection, write, shadows=not rules.shadows)

    def settings(self) -> str:
        """What the recorder is told."""
        from belljar.watch import attach

        options, chosen = self._options, self._selection.lines()
        stacks = options.stacks
        if self._cross is not None:  # what is skipped explains nothing; the place needs a stack
            from belljar.watch.crosscheck import STACKS

            chosen, stacks = (), max(stacks, STACKS)
        needed = [line for line in self._arbiter.select if chosen or line[0] == "ask"]
        return attach.settings(
            options.on_overflow,
            options.deadline,
            stacks,
            options.locals,
            [*needed, *chosen],
            resolve=options.resolve,
        )

    def prefix(self) -> tuple[str, ...]:
        """What is to be started in place of the command."""
        if self._cross is None:
            return ()
        from belljar.watch import crosscheck

        return crosscheck.prefix()

    def ready(self, collector: Collector) -> None:
        """The program is about to start."""
        self._collector = collector

    @contextmanager
    def live(self, borrowed: Borrowed | None) -> Iterator[None]:
        """Meanwhile, the view that is updated."""
        if borrowed is None or self._view is None:
            yield
            return
        from belljar.report.live import Counts, LiveView

        self._counts = Counts()
        self._view.each = self._counts.count
        with borrowed:
            view = LiveView(borrowed, self._counts, self._view.summary.processes, self._events)
            view.start()
            try:
                yield
            finally:
                view.stop()

    def _events(self) -> int:
        return self._collector.events if self._collector is not None else 0

    def take(self, chunks: list[Chunk]) -> None:
        """Frames came."""
        kept = self._record.take(chunks)
        for chunk in chunks:
            self._arbiter.take(chunk, kept=kept)
            if self._cross is not None:
                self._cross.take(chunk)
        if self._view is not None:
            self._view.take(chunks)
            if self._counts is not None:
                self._view.work()  # not only when there is much: somebody is watching

    def work(self) -> bool:
        """There is time; True while there is work for it."""
        matching = self._cross is not None and self._cross.work()
        return (self._view is not None and self._view.work()) or matching

    def _answer(self, slot: int, seq: int, verdict: int) -> None:
        if self._collector is not None:
            self._collector.answer(slot, seq, verdict)

    def _tell(self, alert: Alert) -> None:
        """A rule fired: told at once."""
        if self._options.quiet:
            return
        from belljar.report import alert as report
        from belljar.report.text import wants_colour

        if self._options.json:
            self._write_json({"kind": "alert", **report.as_json(alert)})
        else:
            self._write(report.render(alert, wants_colour(self._out)) + "\n")
        if self._counts is not None:
            self._counts.alerts.append(report.headline(alert).partition(": ")[2])

    def finish(self, result: Watched) -> bool:
        """Show what is still to be shown. True where `--fail-on` asks for another exit status."""
        from belljar.watch.findings import Finding

        coverage = self._cross.report() if self._cross is not None else None
        findings = [*result.findings, *self._record.findings]
        findings += self._cross.findings if self._cross is not None else []
        broken = self._arbiter.malformed
        if self._view is not None:
            self._view.finish()
            broken = max(broken, self._view.broken)
        if broken:
            text = f"{broken} frames could not be decoded"
            findings.append(Finding("malformed", 0, broken, 0, text))
        if self._view is not None:
            self._view.summary.processes.settle(findings)
            if self._options.json:
                self._finish_json(findings, coverage)
            else:
                self._write_summary(self._view, result, findings, coverage)
        asked = self._options.fail_on
        return ("finding" in asked and bool(findings)) or (
            "alert" in asked and bool(self._arbiter.alerts)
        )

    def _finish_json(self, findings: list[Finding], coverage: Coverage | None) -> None:
        if coverage is not None:
            from belljar.report.coverage import objects

            for line in objects(coverage):
                self._write_json(line)
        for finding in findings:
            self._write_json({**finding.plain(), "kind": "finding", "finding": finding.kind})

    def _write_summary(
        self, view: View, result: Watched, findings: list[Finding], coverage: Coverage | None
    ) -> None:
        from belljar.report.summary import HEIGHT, WIDTH
        from belljar.report.text import wants_colour

        width, height, colour = WIDTH, HEIGHT, wants_colour(self._out)
        if self._out.isatty():
            size = os.get_terminal_size(self._out.fileno())
            width, height = max(60, size.columns), max(20, size.lines - 1)
        summary, alerts = view.summary, self._arbiter.alerts
        summary.events = view.shown
        if not summary.processes.seen and not findings:
            summary.notes.append("no Python was seen, and only Python is")
        if self._selection.everything:
            summary.events = result.events
            summary.left_out = max(0, result.events - view.shown - view.shed)
        if any(alert.rule.id == "shadowed-module" for alert in alerts):
            summary.packages.shadows.clear()  # told already
        lines = summary.lines(
            findings,
            [alert.rule.id or alert.rule.origin for alert in alerts],
            ended=_ended(result),
            colour=colour,
            width=width,
            height=height,
        )
        if coverage is not None:
            from belljar.report.coverage import lines as covered

            lines += covered(coverage, colour=colour)
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
