"""One `belljar watch` while it runs: who gets to know of what, and what is shown at the end."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final, TextIO

    from belljar.cli.watch_options import Options
    from belljar.model import Rule
    from belljar.report.live import Counts, LiveView
    from belljar.report.view import View
    from belljar.watch.arbiter import Alert, Arbiter
    from belljar.watch.attribute import Attribution
    from belljar.watch.collect import Chunk, Collector
    from belljar.watch.coverage import Coverage
    from belljar.watch.crosscheck import CrossCheck
    from belljar.watch.findings import Finding
    from belljar.watch.record import Record
    from belljar.watch.run import Watched
    from belljar.watch.selection import Selection
    from belljar.watch.terminal import Borrowed

_MOST_FAILURES: Final = 100


class _Looking:
    """Whatever an event is made of, looking at it must not end the collecting."""

    def __init__(self) -> None:
        self.why, self.failures = "", 0

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: object, _trace: object) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        self.why = self.why or f"{kind.__name__}: {error}"[:200]
        self.failures += 1
        return True


class Session:
    """Everyone who wants to know of a chunk, in their order: the record first."""

    def __init__(
        self,
        options: Options,
        selection: Selection,
        own: Sequence[Rule],
        shipped: bool,
        record: Record,
        out: TextIO,
    ) -> None:
        self._options, self._selection, self._record, self._out = options, selection, record, out
        first = options.command[0]
        self._script = first if options.is_python and first not in ("-c", "-m", "-") else None
        self._attribution: Attribution | None = None
        self._own, self._shipped = own, shipped
        self._arbiter: Arbiter | None = None
        #: The shipped rules only raise alarms: they are read when the program runs already, unless
        #: the recorder must be told at its start what they need.
        self._later = shipped and not own and not options.must_log and not selection.lines()
        if not self._later and (own or shipped or options.must_log):
            self._arbiter = self._make_arbiter()
        self._collector: Collector | None = None
        self._counts: Counts | None = None
        self._cross: CrossCheck | None = None
        if options.cross_check:
            from belljar.watch.crosscheck import CrossCheck

            self._cross = CrossCheck()
        self._view = None if options.quiet else self._make_view()
        self._looking, self._crossing = _Looking(), _Looking()
        self._deaf = False  # whoever read the output has gone

    def _attribute(self) -> Attribution:
        """One for all, made when it is needed."""
        if self._attribution is None:
            from belljar.watch.attribute import Attribution

            self._attribution = Attribution(self._script)
        return self._attribution

    def _make_arbiter(self) -> Arbiter:
        from belljar.policy.rules import Rules, shipped
        from belljar.watch.arbiter import Arbiter

        self._later = False
        return Arbiter(
            Rules([*(shipped() if self._shipped else ()), *self._own]),
            self._options.must_log,
            package_of=lambda event: self._attribute().of(event),
            tell=self._tell,
            answer=self._answer,
            keep=self._record.alert,
        )

    def _make_view(self) -> View:
        from belljar.report.summary import Summary
        from belljar.report.view import View

        summary = Summary(os.getcwd(), os.environ.get("HOME", ""), self._script or "")
        write = self._write_json if self._options.json else None
        # whoever has no rule for it is told by the summary
        shadows = not (self._shipped or any(rule.shadows for rule in self._own))
        refused = self._arbiter.refused if self._arbiter is not None else ()
        return View(
            summary, self._attribute(), self._selection, write, shadows=shadows, refused=refused,
            recorded=self._record.kept,
        )  # fmt: skip

    def settings(self) -> str:
        """What the recorder is told."""
        from belljar.watch import attach

        options, chosen = self._options, self._selection.lines()
        stacks = options.stacks
        if self._cross is not None:  # what is skipped explains nothing; the place needs a stack
            from belljar.watch.crosscheck import STACKS

            chosen, stacks = (), max(stacks, STACKS)
        needed = self._arbiter.select if self._arbiter is not None else ()
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

    def begin_live(self, borrowed: Borrowed) -> LiveView:
        """The view that is updated, begun; whoever asked for it has to stop it."""
        from belljar.report.live import Counts, LiveView

        assert self._view is not None
        self._counts = Counts()
        self._view.each = self._counts.count
        processes = self._view.summary.processes
        view = LiveView(borrowed, self._counts, processes, self._events)
        view.start()
        return view

    def _events(self) -> int:
        return self._collector.events if self._collector is not None else 0

    def take(self, chunks: list[Chunk]) -> None:
        """Frames came."""
        kept = self._record.take(chunks)
        if self._later:
            self._arbiter = self._make_arbiter()
        for chunk in chunks:
            if self._arbiter is not None:
                with self._looking:  # who waits and was not reached meets its deadline: refused
                    self._arbiter.take(chunk, kept=kept)
            if self._cross is not None and not self._crossing.why:
                with self._crossing:
                    self._cross.take(chunk)
        if self._view is not None:
            with self._looking:
                self._view.take(chunks)
                if self._counts is not None:
                    self._view.work()  # not only when there is much: somebody is watching

    def work(self) -> bool:
        """There is time; True while there is work for it."""
        matching = shows = False
        if self._cross is not None and not self._crossing.why:
            with self._crossing:
                matching = self._cross.work()
        if self._view is not None:
            with self._looking:
                shows = self._view.work()
        return shows or matching

    def _unseen(self) -> list[Finding]:
        """What looking at events met, told once."""
        from belljar.watch.findings import Finding

        why = self._looking.why or self._crossing.why
        if not why:
            return []
        text = f"could not look at some events: {why}"
        if self._record.kept:
            text += "; the record has them"
        return [Finding("unseen", 0, self._looking.failures + self._crossing.failures, 0, text)]

    def _alerts(self) -> list[Alert]:
        return self._arbiter.alerts if self._arbiter is not None else []

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

        coverage: Coverage | None = None
        findings = [*result.findings, *self._record.findings]
        if self._cross is not None and not self._crossing.why:  # half of it would mislead
            with self._crossing:
                coverage = self._cross.report()
                findings += self._cross.findings
        broken = self._arbiter.malformed if self._arbiter is not None else 0
        if self._view is not None:
            before, looking = -1, self._looking
            while before < looking.failures < _MOST_FAILURES:  # each time it gets further
                before = looking.failures
                with self._looking:
                    self._view.finish()
            broken = max(broken, self._view.broken)
        if broken:
            text = f"{broken} frames could not be decoded"
            findings.append(Finding("malformed", 0, broken, 0, text))
        findings += self._unseen()
        if self._view is not None:
            findings += [*self._view.unheard.findings(), *self._view.mismatches.findings()]
            self._view.summary.processes.settle(findings, result.ends)
            if self._options.json:
                for end in result.ends:
                    if end.signal or end.status:
                        self._write_json({"kind": "end", **end.plain()})
                self._finish_json(findings, coverage)
            else:
                self._write_summary(self._view, result, findings, coverage)
        asked = self._options.fail_on
        return ("finding" in asked and bool(findings)) or (
            "alert" in asked and bool(self._alerts())
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
        summary, alerts = view.summary, self._alerts()
        summary.events = view.shown
        summary.refusals = sum(alert.refused for alert in alerts)
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

            lines += covered(coverage, colour=colour, stacks=self._options.stacks)
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
    from belljar.watch.ends import name

    return f"ended by {result.end or name(result.signal)}"
