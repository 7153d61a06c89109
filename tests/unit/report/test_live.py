"""The live view shows what happens now, below what the program writes."""

from __future__ import annotations

import io
import os
import pty
import re
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from belljar.report.live import _AMID, Counts, LiveView
from belljar.watch.processes import Processes


@pytest.fixture
def view():
    counts, processes = Counts(), Processes()
    one = LiveView(SimpleNamespace(screen=-1), counts, processes, lambda: 0)
    return SimpleNamespace(view=one, counts=counts, processes=processes)


def drawn(view, width=80, height=12):
    file = io.StringIO()
    Console(file=file, width=width, height=50).print(view.view.panel(width, height, 2.0))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def hello(pid, *argv):
    head = SimpleNamespace(pid=pid, time=1)
    return SimpleNamespace(
        header=head, ppid=1, argv=argv, python="3.11.7", executable=None, cwd=None, uid=0,
        start=0, forked=False,
    )  # fmt: skip


def test_rates_stand_beside_packages_and_the_newest_alerts_below(view):
    view.processes.hello(hello(7, "python", "job.py"))
    for _ in range(30):
        view.counts.count("read", "pip 23.2")
    view.counts.count("connect", "")
    view.counts.alerts += [f"number {n}" for n in range(9)]
    view.view._history = [(10.0, {"read": 10}, 20), (12.0, {"read": 30, "connect": 1}, 31)]
    lines = drawn(view)
    assert lines[1] == "belljar  2 s  31 events  6/s  1 process, 1 running"
    assert lines[2].split() == ["read", "10/s", "30", "pip", "23.2", "30"]
    assert lines[3].split() == ["connect", "0/s", "1", "the", "program", "1"]
    assert lines[-1] == "alert: number 8"
    assert sum(line.startswith("alert") for line in lines) == 3


def test_processes_are_shown_when_there_is_more_than_one(view):
    view.view._history = [(1.0, {}, 0)]
    view.processes.hello(hello(7, "python", "job.py"))
    assert "7 python job.py" not in drawn(view)
    view.processes.hello(hello(8, "python", "other.py"))
    assert drawn(view)[-2:] == ["7 python job.py", "8 python other.py"]


@pytest.mark.parametrize(("width", "height"), [(40, 6), (80, 12), (200, 30)])
def test_the_panel_never_is_larger_than_its_room_and_nothing_deceives(view, width, height):
    for number in range(50):
        view.counts.count(f"right{number}", f"package\x1b[2J{number}" * 9)
        view.processes.hello(hello(number, "\x1b[31m" * 50))
    view.counts.alerts += ["\x1b]0;x\x07" * 50] * 9
    view.view._history = [(1.0, dict(view.counts.rights), 5)]
    lines = drawn(view, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "".join(lines).replace("─", "").isprintable()


def test_memory_is_bounded(view):
    for number in range(9000):
        view.counts.count(None, f"p{number}")
    assert len(view.counts.packages) <= 5001


@pytest.mark.parametrize(
    ("written", "amid"),
    [
        (b"text", False),
        (b"\x1b[31mred", False),
        (b"\x1b", True),
        (b"\x1b[3", True),
        (b"\x1b]0;title", True),
        (b"\x1b]0;title\x07", False),
        ("\u2500".encode()[:1], True),
        ("\u2500".encode()[:2], True),
        ("\u2500".encode(), False),
        ("\U0001f600".encode()[:3], True),
    ],
)
def test_nothing_is_drawn_amid_a_sequence_of_the_program(written, amid):
    assert bool(_AMID.search(written)) is amid


class Terminal:
    """What a borrowed terminal looks like to the view: a screen, and bytes of a program."""

    def __init__(self, written):
        self.master, self.screen = pty.openpty()
        self.sizes = []
        self._written = [written]

    def resize(self, columns, lines):
        self.sizes.append((columns, lines))

    def read(self, seconds):
        return self._written.pop() if self._written else b""

    def rest(self):
        return b"last words"

    def give_back(self):
        os.close(os.dup(self.screen))

    def shown(self):
        data = b""
        while b"\x1b[J" not in data:
            data += os.read(self.master, 65536)
        os.close(self.master)
        os.close(self.screen)
        return data.decode()


def test_output_scrolls_above_the_panel_and_the_terminal_is_left_whole(view):
    terminal = Terminal(b"\x1b[32mhello\x1b[0m\n")
    os_size = os.terminal_size((80, 30))
    terminal_size, os.get_terminal_size = os.get_terminal_size, lambda _fd: os_size
    try:
        live = LiveView(terminal, view.counts, view.processes, lambda: 5)
        live.start()
        while terminal._written:
            time.sleep(0.01)
        live.stop()
    finally:
        os.get_terminal_size = terminal_size
    text = terminal.shown()
    assert terminal.sizes == [(80, 20)]
    assert "\x1b[1;20r" in text
    assert "\x1b[32mhello" in text
    assert re.search(r"\x1b\[22;1H\x1b\[0m\x1b\[2K.*belljar  0 s  5 events", text)
    assert text.endswith("last words\r\n\x1b7\x1b[r\x1b8\x1b[J")
