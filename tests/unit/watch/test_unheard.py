"""Interpreters that were started and did not speak are told, and no others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from belljar.events.decode import Header, Hello
from belljar.model import Event
from belljar.watch.unheard import Unheard, start_of


def start(*words, name="subprocess.Popen", program=None):
    return start_of(Event(1, 0, 7, 7, name, (program or words[0], words, None, None)))


def hello(pid, ppid, *argv, forked=False):
    return Hello(Header(1, 0, pid, 1, 0, 0), "3.11", ppid, argv, "/", 0, forked)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("python2.7", "a.py"), ("python2.7", ("a.py",))),
        (("/opt/pypy3", "-m", "x"), ("/opt/pypy3", ("-m", "x"))),
        (("/usr/bin/env", "-i", "A=1", "python3", "a.py"), ("python3", ("a.py",))),
        (("sudo", "python3.13t", "a.py"), ("python3.13t", ("a.py",))),
        (("sh", "-c", "python3 a.py"), None),
        (("python3-config", "--libs"), None),
        (("apt", "install", "python3"), None),
        (("env", "-i", "sh"), None),
        (("python3", "x" * 300), None),
        (("python3", 7), None),
    ],
)
def test_what_looks_like_a_python(words, found):
    assert start(*words) == found


def test_other_events_start_nothing():
    assert start("python3", name="os.system") is None
    assert start_of(Event(1, 0, 7, 7, "os.exec", ())) is None
    assert start_of(Event(1, 0, 7, 7, "os.exec", ("python3", None))) is None


def test_who_says_hello_is_heard_and_who_is_not_there_was_not_started():
    unheard = Unheard()
    there = sys.executable
    unheard.started(7, start("/nonesuch/python3", "x"))
    for words in ((there, "child"), (there, "became"), (there, "silent")):
        unheard.started(7, start(*words))
    unheard.hello(hello(8, 7, "python", "child"))
    unheard.hello(hello(7, 1, "python", "became"))
    unheard.hello(hello(9, 7, "python", "silent", forked=True))  # a fork of the one that asked
    (finding,) = unheard.findings()
    assert (finding.kind, finding.pid) == ("unheard", 7)
    assert f"started {there}, of which nothing was heard" in str(finding)


def test_a_watch_tells_of_the_interpreter_that_lost_its_environment(tmp_path):
    program = (
        "import subprocess, sys\n"
        "for words in ['/usr/bin/env', '-i'], []:\n"
        "    subprocess.run([*words, sys.executable, '-c', str(len(words))], check=True)\n"
    )
    code = "import sys; from belljar.cli.watch import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "--ledger", "none", "--fail-on", "finding",
         "--python", sys.executable, "-c", program],
        check=False, capture_output=True, text=True,
        env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stderr.count("of which nothing was heard") == 1
    assert done.returncode == 123
