"""What was started, by its names: from START entries as `run` and `watch` write them to a row."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from belljar.ledger import END, START, Writer
from belljar.ledger.query.ask import ask
from belljar.ledger.starts import Started, guest, program
from belljar.model import Event
from belljar.sandbox import record as sandboxed
from belljar.watch.record import Record as Watching
from belljar.watch.run import Watched

from .conftest import RUN, packed


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def rows(directory: str, columns: str) -> list[tuple]:
    with ask(directory, f"SELECT {columns} FROM runs ORDER BY entry") as found:
        return list(found.rows)


@pytest.mark.parametrize(
    ("argv", "kind", "target", "name"),
    [
        (["python", "job.py", "-m", "x"], "script", "job.py", "job"),
        (["/v/bin/python3.11", "-m", "http.server", "80"], "module", "http.server", "http.server"),
        (["python3", "-Ic", "pass"], "code", "pass", "-c"),
        (["python3", "-X", "dev", "-W", "error", "-B", "/srv/a.py"], "script", "/srv/a.py", "a"),
        (["python3", "-"], "script", "-", "-"),
        (["python3", "-m"], "module", "", ""),
        (["python3", "--version"], "command", "python3", "python3"),
        (["/bin/sh", "-c", "exit"], "command", "/bin/sh", "sh"),
        (["/srv/app/"], "command", "/srv/app/", "app"),
        ([""], "command", "", ""),
        ([], "command", "", ""),
    ],
)
def test_a_command_line_has_a_program(argv: list[str], kind: str, target: str, name: str) -> None:
    assert program(argv) == (kind, target)
    assert guest(kind, target) == name


@pytest.mark.parametrize(
    ("data", "name", "what", "command"),
    [
        ({"program": ["script", "/a b.py"], "argv": ["x"]}, "a b", "/a b.py", "'/a b.py' x"),
        ({"program": ["module", "m"], "argv": [], "guest": "G"}, "G", "m", "-m m"),
        ({"program": ["code", "pass"], "argv": ["y"]}, "-c", "pass", "-c pass y"),
        ({"argv": ["python", "-m", "m", "1"]}, "m", "m", "python -m m 1"),
        ({"program": ["odd", "x"], "argv": "no list"}, "", "", ""),
        ({"program": [1, 2], "guest": 5, "argv": [None, "ls", {}]}, "ls", "ls", "ls"),
        ({}, "", "", ""),
    ],
)
def test_a_start_tells_what_it_can(
    data: dict[str, object], name: str, what: str, command: str
) -> None:
    found = Started(data)
    assert (found.guest, found.program, found.command) == (name, what, command)


def test_a_sandboxed_run_is_a_row_one_can_use(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")
    record = sandboxed.Record(Writer(directory, clerk=False), RUN)
    policy = [["files.read", "/data", "job.toml:3"], ["limits.cpu", "1m", "default"]]
    record.start(
        {"kind": "run", "guest": "nightly", "program": ["script", "job.py"], "argv": ["a b"],
         "cwd": "/srv", "policy": policy, "policy-digest": "ab", "uid": 5, "pid": 9}
    )  # fmt: skip
    record.end({"ended-by": "exit", "status": 3, "signal": 0, "wall": 1.23456, "denials": 2})
    record.close()
    wanted = "run, kind, guest, program, command, cwd, policy, policy_digest, uid, pid"
    assert rows(directory, wanted) == [
        (RUN.hex(), "run", "nightly", "job.py", "job.py 'a b'", "/srv", "job.toml", "ab", 5, 9)
    ]
    assert rows(directory, "ended_by, status, signal, seconds, denials") == [
        ("exit", 3, 0, 1.235, 2)
    ]


def test_a_watched_run_is_a_row_one_can_use(tmp_path: Path) -> None:
    from belljar.model import Rule
    from belljar.watch.arbiter import Alert

    directory = str(tmp_path / "ledger")
    with Watching(directory) as record:
        record.start(["/usr/bin/python3", "-B", "job.py", "x"])
        event = Event(1, 0, 7, 7, "open", ())
        rule = Rule("open", "alert", origin="r.toml:1")
        for refused in (True, False, False):
            assert record.alert(Alert(rule, event, "", refused=refused))
        record.end(Watched(137, 4242, 11, 0, (), 9))
    wanted = "kind, guest, program, command, cwd, uid, pid, status, signal, ended_by"
    assert rows(directory, wanted) == [
        ("watch", "job", "job.py", "/usr/bin/python3 -B job.py x", os.getcwd(), os.geteuid(),
         os.getpid(), 137, 9, "signal")
    ]  # fmt: skip
    ((denials, alerts, events, seconds),) = rows(directory, "denials, alerts, events, seconds")
    assert (denials, alerts, events) == (1, 2, 11)
    assert 0 <= seconds < 60


def test_without_a_measure_the_time_between_the_entries_is_taken(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")
    with Writer(directory, clerk=False) as writer:
        writer.append([(START, 1, packed({"argv": ["x"]}))], RUN, 10**18)
        writer.append([(END, 1, packed({"wall": "odd"}))], RUN, 10**18 + 2_500_000_000)
    assert rows(directory, "seconds, command") == [(2.5, "x")]


def test_nothing_that_an_end_says_of_time_breaks_the_index(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")
    for value in (float("nan"), float("inf"), -1.5, 1 << 63, 7, True, None, [1.0], 1e300):
        with Writer(directory, clerk=False) as writer:
            run = os.urandom(16)
            writer.append([(START, 1, packed({})), (END, 1, packed({"wall": value}))], run, 10**18)
    assert [row[0] for row in rows(directory, "seconds")] == [0, 0, -1.5, 0, 7, 0, 0, 0, 0]
