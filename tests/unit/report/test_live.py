"""The live view shows what happens now, below what the program writes."""

from __future__ import annotations

import io
import os
from types import SimpleNamespace

import pytest
from rich.console import Console

from belljar.report.live import Counts, LiveView, output
from belljar.watch.processes import Processes


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain\r", "plain"),
        ("10 %\r20 %", "20 %"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07x\x1b]0;other\x1b\\y", "xy"),
        ("\x1b[2J\x1b[Hgone\x9b\x07\x08", "gone"),
        ("end \x1b", "end \\x1b"),
    ],
)
def test_of_what_the_program_writes_text_and_colours_are_kept(line, shown):
    assert output(line).plain == shown


def test_colours_stay():
    (span,) = output("\x1b[31mred\x1b[0m").spans
    assert span.style.color.number == 1


@pytest.fixture
def view():
    reading, writing = os.pipe()
    counts, processes = Counts(), Processes()
    borrowed = SimpleNamespace(screen=writing)
    one = LiveView(borrowed, counts, processes, lambda: 0)
    yield SimpleNamespace(view=one, counts=counts, processes=processes)
    one._file.close()
    os.close(reading)
    os.close(writing)


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
