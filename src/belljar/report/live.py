"""The view that is updated while a program runs: what it does now, below what it writes.

Drawn by `rich`, which knows terminals better than we ever want to; imported for `--live` only.
Everything from the program is escaped, but for the colours of its own output.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import threading
import time
from collections import Counter

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from belljar.report.fold import fit
from belljar.report.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from belljar.watch.processes import Processes
    from belljar.watch.terminal import Borrowed

_PERIOD: Final = 0.25
_SPAN: Final = 4  # periods that a rate is taken over
_MOST_ROWS: Final = 6
_MOST_NEWS: Final = 4
_MOST_KNOWN: Final = 5000
_LONGEST_LINE: Final = 10_000
_OTHERS: Final = "other packages"
#: Sequences that set titles and the like.
_TITLES: Final = re.compile(r"\x1b[\]P^_][^\x07\x1b]*(?:\x07|\x1b\\)?")
#: Control characters that are not ours to pass on; colours are sequences that begin with ESC.
_CONTROLS: Final = {c: None for c in (*range(32), *range(0x7F, 0xA0)) if c not in (9, 27)}


class Counts:
    """What the view counts; filled by one thread, read by another."""

    def __init__(self) -> None:
        self.rights: Counter[str] = Counter()
        self.packages: Counter[str] = Counter()
        self.alerts: list[str] = []

    def count(self, right: str | None, package: str) -> None:
        """One event that was decoded."""
        if right:
            self.rights[right] += 1
        if package not in self.packages and len(self.packages) >= _MOST_KNOWN:
            package = _OTHERS
        self.packages[package] += 1


class LiveView:
    """Shows `counts` and `processes` four times a second, from `start` to `stop`, and what the
    program writes above them. `events` says how many came in all.
    """

    def __init__(
        self,
        borrowed: Borrowed,
        counts: Counts,
        processes: Processes,
        events: Callable[[], int],
    ) -> None:
        self._borrowed, self._counts, self._processes = borrowed, counts, processes
        self._events = events
        self._file = io.TextIOWrapper(
            os.fdopen(borrowed.screen, "wb", buffering=0, closefd=False),
            encoding="utf-8",
            errors="replace",
            write_through=True,
        )
        self._console = Console(file=self._file, force_terminal=True, highlight=False)
        if os.environ.get("NO_COLOR"):
            self._console.no_color = True
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._history: list[tuple[float, dict[str, int], int]] = []
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="belljar-live", daemon=True)

    def start(self) -> None:
        """Begin to draw, in a thread of our own."""
        self._live.start()
        self._thread.start()

    def stop(self) -> None:
        """Show the last words of the program and leave the terminal as it was."""
        self._over.set()
        self._thread.join()
        self._borrowed.give_back()
        self._show(self._borrowed.rest())
        self._show(self._decoder.decode(b"", True).encode())
        if self._line:
            self._print(self._line)
        self._live.stop()
        self._file.close()

    def _run(self) -> None:
        try:
            due = 0.0
            while not self._over.is_set():
                left = due - time.monotonic()
                if left <= 0:
                    due = time.monotonic() + _PERIOD
                    self._borrowed.resize()
                    self._draw()
                    continue
                data = self._borrowed.read(left)
                if data:
                    self._show(data)
        except OSError:  # the terminal has gone; the program must not wait for it
            while not self._over.is_set():
                self._borrowed.read(_PERIOD)

    def _show(self, data: bytes) -> None:
        """Whole lines go above the view, the last one that is not whole becomes part of it."""
        *lines, rest = (self._line + self._decoder.decode(data)).split("\n")
        for line in lines:
            self._print(line)
        self._line = rest[-_LONGEST_LINE:]

    def _print(self, line: str) -> None:
        self._console.print(output(line), soft_wrap=True)

    def _draw(self) -> None:
        now = time.monotonic()
        self._history.append((now, dict(self._counts.rights), self._events()))
        del self._history[: -_SPAN - 1]
        size = os.get_terminal_size(self._borrowed.screen)
        self._console.size = ConsoleDimensions(size.columns, size.lines)
        width, height = max(40, size.columns), max(6, size.lines // 2)
        parts: list[Any] = [output(self._line, end="\n")] if self._line else []
        parts.append(self.panel(width, height - len(parts), now - self._began))
        self._live.update(Group(*parts), refresh=True)

    def panel(self, width: int, height: int, seconds: float) -> Table:
        """What is drawn: a headline, rates beside packages, processes, then the newest alerts."""
        (then, before, events_before), (now, rights, events) = self._history[0], self._history[-1]
        span = max(now - then, _PERIOD)
        table = Table.grid(padding=(0, 2))
        rate = (events - events_before) / span
        few = height // 4
        news = [f"alert: {text}" for text in self._counts.alerts[-min(_MOST_NEWS, few) :]]
        alive = [p for p in list(self._processes.all) if p.how == ""]
        running = alive[-min(3, few) :] if len(alive) > 1 else []
        rows = max(1, min(_MOST_ROWS, height - 2 - len(news) - len(running)))
        plural = "process" if self._processes.seen == 1 else "processes"
        head = f"belljar  {seconds:.0f} s  {events} events  {rate:.0f}/s  "
        head += f"{self._processes.seen} {plural}, {len(alive)} running"
        out = Table.grid()
        out.add_row(Text("─" * width, style="dim"))
        out.add_row(Text(fit(head, width), style="bold"))
        busiest = self._counts.packages.most_common(rows)
        quick = sorted(rights, key=lambda r: (before.get(r, 0) - rights[r], -rights[r], r))[:rows]
        for number in range(max(len(busiest), len(quick))):
            left = right = ""
            if number < len(quick):
                name = quick[number]
                per = (rights[name] - before.get(name, 0)) / span
                left = f"{name:<9}{per:>7.0f}/s{rights[name]:>10}"
            if number < len(busiest):
                package, count = busiest[number]
                room = max(5, width - 32 - len(str(count)))
                right = f"{fit(package or 'the program', room)}  {count}"
            table.add_row(Text(left), Text(right))
        out.add_row(table)
        for process in running:
            command = " ".join(process.argv) or "?"
            out.add_row(Text(fit(f"{process.pid} {command}", width), style="dim"))
        for text in news:
            out.add_row(Text(fit(text, width), style="yellow"))
        return out


def output(line: str, end: str = "") -> Text:
    """A line that the program wrote, as far as it is text and colours.

    >>> output("10 %\\r20 %\\x1b[2J\\x9b").plain
    '20 %'
    """
    line = _TITLES.sub("", line.rstrip("\r").rpartition("\r")[2][-_LONGEST_LINE:])
    text = Text.from_ansi(line.translate(_CONTROLS), end=end)
    if "\x1b" in text.plain:
        return Text(printable(text.plain, _LONGEST_LINE), end=end)
    return text
