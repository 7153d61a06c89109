"""The view that is updated while a program runs: what it does now, below what it writes.

Laid out by `rich`, imported for `--live` only. What is told of the program is escaped; what it
writes itself is passed on, as it would have come to the terminal without us.
"""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from belljar.report.fold import fit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from belljar.watch.processes import Processes
    from belljar.watch.terminal import Borrowed

_PERIOD: Final = 0.25
_SPAN: Final = 4  # periods that a rate is taken over
_MOST_ROWS: Final = 6
_MOST_NEWS: Final = 4
_MOST_KNOWN: Final = 5000
_TALLEST: Final = 12
_LATEST: Final = 0.3  # seconds that drawing waits for the end of a sequence
_LONGEST_SEQUENCE: Final = 64
_OTHERS: Final = "other packages"
#: The end of what was written lies within a control sequence or a character.
_AMID: Final = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*)?$|[\xc0-\xff]$|[\xe0-\xff][\x80-\xbf]$"
    rb"|[\xf0-\xff][\x80-\xbf]{2}$"
)


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
    """Shows `counts` and `processes` four times a second, from `start` to `stop`, in the last lines
    of the terminal; what the program writes scrolls above them, passed on as it is. `events` says
    how many came in all.
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
        self._size = os.terminal_size((0, 0))
        self._tail = b"\n"
        self._history: list[tuple[float, dict[str, int], int]] = []
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="belljar-live", daemon=True)

    def start(self) -> None:
        """Begin to draw, in a thread of our own."""
        self._arrange()
        self._thread.start()

    def stop(self) -> None:
        """Show the last words of the program and leave the terminal as it was."""
        self._over.set()
        self._thread.join()
        self._borrowed.give_back()
        try:
            self._pass_on(self._borrowed.rest())
            self._write(b"" if self._tail.endswith(b"\n") else b"\n")
            self._write(b"\x1b7\x1b[r\x1b8\x1b[J")
        except OSError:
            return  # the terminal has gone

    def _run(self) -> None:
        due = late = 0.0
        try:
            while not self._over.is_set():
                left = due - time.monotonic()
                if left > 0:
                    self._pass_on(self._borrowed.read(left))
                elif _AMID.search(self._tail) and late < _LATEST:
                    late += 0.01  # not amid a sequence of the program's
                    self._pass_on(self._borrowed.read(0.01))
                else:
                    due, late = time.monotonic() + _PERIOD, 0.0
                    self._draw()
        except OSError:  # the terminal has gone; the program must not wait for it
            while not self._over.is_set():
                self._borrowed.read(_PERIOD)

    def _arrange(self) -> None:
        """Give the program all lines of the terminal but the last ones."""
        size = os.get_terminal_size(self._borrowed.screen)
        if size == self._size:
            return
        first, self._size = not self._size.lines, size
        lines = self._height()
        room = b"\n" * lines + b"\x1b[%dA" % lines if first else b""
        self._write(room + b"\x1b7\x1b[1;%dr\x1b8" % max(1, size.lines - lines))
        self._borrowed.resize(size.columns, max(1, size.lines - lines))

    def _height(self) -> int:
        return max(4, min(_TALLEST, self._size.lines // 3))

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._tail = (self._tail + data)[-_LONGEST_SEQUENCE:]
            self._write(data)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._borrowed.screen, data) :]

    def _draw(self) -> None:
        self._arrange()
        now = time.monotonic()
        self._history.append((now, dict(self._counts.rights), self._events()))
        del self._history[: -_SPAN - 1]
        width, height = max(40, self._size.columns), self._height()
        file = io.StringIO()
        console = Console(file=file, force_terminal=True, width=width, height=height)
        console.no_color = bool(os.environ.get("NO_COLOR"))
        console.print(self.panel(width, height, now - self._began), end="")
        rows = file.getvalue().split("\n")[:height]
        top = self._size.lines - height + 1
        out = "\x1b7"
        for number in range(height):
            row = rows[number] if number < len(rows) else ""
            out += f"\x1b[{top + number};1H\x1b[0m\x1b[2K{row}"
        self._write((out + "\x1b8").encode("utf-8", "replace"))

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
        what = "event" if events == 1 else "events"
        head = f"belljar  {seconds:.0f} s  {events} {what}  {rate:.0f}/s  "
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
