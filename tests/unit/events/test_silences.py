"""Every known silence is one, on the interpreter that runs this test."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from silent_operations import DO, KNOWN, NEEDS, PREPARE

from belljar import catalogue
from belljar.confine.status import NAMES
from belljar.events.syscalls import KINDS

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
HARNESS = """
import sys
heard, listening = [], []

def attempt(operation, *arguments):
    try:
        operation(*arguments)
    except OSError:
        pass

sys.addaudithook(lambda name, args: listening and heard.append(name))
BUNDLE = {bundle!r}
exec(compile({prepare!r}, "prepare", "exec"))
import types
operation = types.FunctionType(compile({do!r}, "operation", "exec"), globals())
listening.append(True)
operation()
listening.clear()
print(*sorted(set(heard) - {known!r}))
"""


def has(need: str) -> bool:
    """Is the module there, or the function of `os` or `sys`?"""
    module, _, name = need.partition(".")
    if name:
        return hasattr(sys.modules[module], name)
    return importlib.util.find_spec(need) is not None


def heard(name: str, folder: Path) -> list[str]:
    """The events that the operation raises, but for the known ones."""
    certificate = folder / "bundle.pem"
    certificate.write_text(CERTIFICATE)
    code = HARNESS.format(
        bundle=str(certificate), prepare=PREPARE[name], do=DO[name],
        known=KNOWN.get(name, set()),
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, cwd=folder, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_silence_has_an_operation_and_every_operation_a_silence() -> None:
    names = [silence.name for silence in catalogue.silences()]
    assert sorted(names) == sorted(DO) == sorted(PREPARE)
    assert len(set(names)) == len(names) > 35


@pytest.mark.parametrize("name", [s.name for s in catalogue.silences(HERE)])
def test_a_silent_operation_raises_no_event(name: str, tmp_path: Path) -> None:
    if name in NEEDS and not has(NEEDS[name]):
        assert name in MAY_BE_LEFT_OUT  # this interpreter was built without
        return
    assert heard(name, tmp_path) == []


def test_what_is_silent_no_more_is_heard(tmp_path: Path) -> None:
    expected = ["_thread.start_new_thread"] if sys.version_info >= (3, 12) else []
    assert heard("thread-start", tmp_path) == expected


def test_walls_kinds_and_events_that_a_silence_names_exist() -> None:
    for silence in catalogue.silences():
        assert set(silence.walls) <= set(NAMES), silence.name
        assert set(silence.cross_check) <= set(KINDS), silence.name
        assert all(catalogue.lookup(name) for name in silence.related), silence.name


def test_a_silence_that_ended_is_not_listed_for_later_versions() -> None:
    late = {silence.name for silence in catalogue.silences("3.14")}
    early = {silence.name for silence in catalogue.silences("3.11")}
    assert {"readline-files", "fork-exec", "cached-foreign-call"} <= early - late
    assert {"perf-map", "namespaces"} <= late - early


#: Modules that a distribution of CPython may lack.
MAY_BE_LEFT_OUT = {"readline-files", "terminfo", "tcl", "shadow-database"}

#: A self-signed certificate, expired: enough to be loaded.
CERTIFICATE = Path(__file__).with_name("certificate.pem").read_text("ascii")
