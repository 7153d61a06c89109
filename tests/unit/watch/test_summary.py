"""The summary folds what is the interpreter's own, keeps the rest, and escapes all of it."""

from __future__ import annotations

import pytest

from belljar.model import Event, Frame
from belljar.report.summary import Summary
from belljar.watch.findings import Finding


@pytest.fixture
def summary():
    return Summary()


def event(name, *args, right=None, target=None, file="/w/job.py", refused=False):
    stack = (Frame(file, 3, "f"),) if file else ()
    return Event(1, 0, 7, 7, name, args, right, target, target, stack, None, refused)


def lines(summary, findings=()):
    return [line.strip() for line in summary.lines(findings)]


def test_library_files_are_counted_in_one_line(summary):
    for path in ("/usr/lib/python3.11/json/x.py", "/w/__pycache__/a.pyc", "/v/pyvenv.cfg"):
        summary.add(event("open", path, "r", 0, right="read", target=path))
    summary.add(event("open", "/w/data", "r", 0, right="read", target="/w/data"))
    assert lines(summary)[1:] == [
        "files read:",
        "/w/data",
        "and 3 of the interpreter and its libraries",
    ]


def test_imports_are_told_apart_by_where_their_files_lie(summary):
    path = "/v/lib/python3.11/site-packages/numpy/__init__.py"
    for name in ("json", "numpy", "numpy.core", "helper"):
        summary.add(event("import", name, None))
    summary.add(event("open", path, "rb", 0, right="read", target=path))
    found = lines(summary)
    assert found[found.index("third-party imports:") + 1] == "numpy  (2 times)"
    others = found.index("other imports:")
    assert found[others + 1 : others + 3] == ["helper", "and 1 of the standard library"]


def test_code_from_text_is_told_and_code_from_files_is_not(summary):
    summary.add(event("compile", b"x = 1", "/w/job.py"))
    summary.add(event("compile", "whole program", "<string>", file=None))
    summary.add(event("compile", "x =\n 2", "<string>"))
    summary.add(event("compile", "y", "<t>", file="/usr/lib/python3.11/collections/__init__.py"))
    assert lines(summary)[1:] == [
        "code generated:",
        "/w/job.py:3: x = 2",
        "and 1 by the standard library",
    ]


def test_a_program_is_told_once_though_two_events_name_it(summary):
    argv = ("/bin/ls", "-l")
    inner = "/usr/lib/python3.13/subprocess.py"
    summary.add(event("subprocess.Popen", "/bin/ls", argv, None, None, right="run"))
    summary.add(event("os.posix_spawn", "/bin/ls", argv, (), right="run", file=inner))
    summary.add(event("os.posix_spawn", "/bin/ls", argv, (), right="run"))
    assert lines(summary)[1:] == ["processes:", "/bin/ls -l  (2 times)"]


def test_what_is_long_is_cut_and_what_deceives_is_escaped(summary):
    for number in range(30):
        path = f"/w/{number:02}\x1b[2J\u202e"
        summary.add(event("open", path, "w", 0, right="write", target=path))
    found = lines(summary, [Finding("ledger", 0, 0, 0, "a\nb")])
    assert found[2] == "/w/00\\x1b[2J\\u202e"
    assert found[-2:] == ["and 10 more", "finding: a\\x0ab"]


def test_refused_events_stand_in_the_headline(summary):
    summary.hello()
    summary.add(event("open", "/x", "r", 0, right="read", target="/x", refused=True))
    assert lines(summary)[0] == "belljar: 1 event from 1 process, 1 refused"


def test_colour_is_only_where_it_was_asked_for(summary):
    assert "\x1b" not in "".join(summary.lines())
    assert "\x1b[1m" in "".join(summary.lines(colour=True))
