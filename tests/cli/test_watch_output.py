"""What `belljar watch` prints, whole: the summary, alerts, mistakes, the live view.

Output is compared as it is, but for the test's own directory, process numbers, times and counts
of events, which differ between versions of Python.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SITE = "site/lib/python3.11/site-packages"


@pytest.fixture
def here(outside_tmp: Path) -> Path:
    """A program, a package that it uses, and a standard module's name in the wrong place."""
    site = outside_tmp / SITE
    (site / "tattle").mkdir(parents=True)
    (site / "tattle/__init__.py").write_text(
        "import socket\n"
        "def tell(address):\n"
        "    with socket.socket() as s:\n"
        "        s.settimeout(1)\n"
        "        s.connect_ex(address)\n"
        "def keep(path, text):\n"
        "    with open(path, 'w') as file:\n"
        "        file.write(text)\n"
    )
    info = site / "tattle-1.2.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("tattle/__init__.py,,\n")
    (info / "METADATA").write_text("Name: tattle\nVersion: 1.2\n")
    (outside_tmp / "data.txt").write_text("data\n")
    (outside_tmp / "job.py").write_text(
        "import sys\n"
        f"sys.path.append({str(site)!r})\n"
        "import tattle\n"
        "print(open('data.txt').read(), end='')\n"
        "tattle.tell(('127.0.0.1', 1))\n"
        "tattle.keep('out.txt', 'x')\n"
        "sys.audit('shop.refund', 5)\n"
    )
    return outside_tmp


def plain(text: str, here: Path) -> str:
    text = text.replace(str(here), "HERE").replace(sys.executable, "PYTHON")
    text = re.sub(r"record #\d+", "record #N", text)
    text = re.sub(r"\b(process|fork of|to) \d+", r"\1 PID", text)
    text = re.sub(r"^( *)\d+ (?=\S)", r"\1PID ", text, flags=re.M)
    text = re.sub(r"in \d+\.\d s", "in TIME", text)
    text = re.sub(r"\b\d+ (event|module)s?\b", r"N \1s", text)
    text = re.sub(r"\b3\.\d+\.\d+\b", "VERSION", text)
    # what a development environment's own start files do
    text = re.sub(r"^standard library\n(  .*\n)+", "", text, flags=re.M)
    return re.sub(r"^(also|only imports)( .*\n)(      .*\n)*", "", text, flags=re.M)


def test_the_summary_says_who_did_what(belljar: Callable, here: Path) -> None:
    env = {"PYTHONDONTWRITEBYTECODE": "1"}
    ran = belljar("watch", "--rules", "none", "job.py", cwd=here, env=env)
    assert (ran.status, ran.stdout) == (0, "data\n")
    assert plain(ran.stderr, here) == (
        "belljar: N events announced by 1 process in TIME\n"
        "tattle 1.2\n"
        "  network  connect 127.0.0.1:1\n"
        "  wrote    ./out.txt\n"
        "  imports  N modules\n"
        "the program (job.py)\n"
        "  read     ./data.txt\n"
        "  listed   .\n"
        "  raised   shop.refund\n"
        "  imports  tattle, of N modules\n"
    )


def test_processes_are_a_tree(belljar: Callable, here: Path) -> None:
    (here / "two.py").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-S', 'die.py'])\n"
    )
    (here / "die.py").write_text("import os; os.kill(os.getpid(), 9)\n")
    ran = belljar("watch", "--rules", "none", "two.py", cwd=here)
    text = plain(ran.stderr, here)
    assert text.startswith("belljar: N events announced by 2 processes in TIME\n")
    assert (
        "processes\n"
        "  PID python two.py  VERSION, N events\n"
        "    PID python -S die.py  VERSION, N events, ended by SIGKILL from itself\n"
    ) in re.sub(r"PID python[\d.]* ", "PID python ", text)
    assert re.search(
        r"^finding: process PID ended without a farewell, after event \d+ \(SIGKILL from itself\)$",
        text,
        re.M,
    )


def test_a_rule_that_fires_is_told_at_once_and_once_more_at_the_end(
    belljar: Callable, here: Path
) -> None:
    (here / "mine.toml").write_text(
        'schema = 1\n[[rule]]\nmatch = { event = "shop.refund", package = "the program" }\n'
        'then = "alert"\n'
    )
    ran = belljar("watch", "--rules", "none", "--rules", "mine.toml", "job.py", cwd=here)
    text = plain(ran.stderr, here)
    assert ran.status == 0
    assert text.startswith("alert[shop.refund]: PYTHON job.py (process PID) raised shop.refund")
    assert text.splitlines()[-1] == "alerts   mine.toml:2"
    for what, status in (("alert", 123), ("finding", 0)):
        argv = ("--quiet", "--fail-on", what, "--rules", "none", "--rules", "mine.toml", "job.py")
        ran = belljar("watch", *argv, cwd=here)
        assert (ran.status, ran.stderr) == (status, "")


def test_a_module_in_front_of_a_standard_one_is_flagged_even_without_rules(
    belljar: Callable, here: Path
) -> None:
    (here / "random.py").write_text("")
    (here / "user.py").write_text("import random\n")
    ran = belljar("watch", "--rules", "none", "user.py", cwd=here)
    finding = "finding: ./random.py stands in front of the standard module random\n"
    assert finding in ran.stderr
    ran = belljar("watch", "user.py", cwd=here)
    assert "alert[shadowed-module]" in ran.stderr
    assert "finding" not in ran.stderr


def test_a_choice_of_rights_leaves_the_rest_out_of_record_and_summary(
    belljar: Callable, here: Path
) -> None:
    ran = belljar("watch", "--rules", "none", "--right", "connect", "job.py", cwd=here)
    assert plain(ran.stderr, here) == (
        "belljar: N events announced by 1 process in TIME\n"
        "tattle 1.2\n"
        "  network  connect 127.0.0.1:1\n"
    )
    ran = belljar("watch", "--json", "--events", "open,shop.*", "--right=write", "job.py", cwd=here)
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    events = [line for line in lines if line["kind"] == "event"]
    assert [(e["name"], e["asked"], e["package"]) for e in events if e["asked"] == "out.txt"] == [
        ("open", "out.txt", "tattle 1.2")
    ]
    assert {e["right"] for e in events} == {"write"}


def test_json_tells_processes_events_alerts_and_findings(belljar: Callable, here: Path) -> None:
    (here / "die.py").write_text("import os\nos.system('exit 3')\nos.kill(os.getpid(), 9)\n")
    argv = ("watch", "--json", "--stacks", "4", "--locals", "--to", "out", "die.py", "an argument")
    ran = belljar(*argv, cwd=here)
    assert (ran.status, ran.stderr) == (137, "")
    lines = [json.loads(line) for line in (here / "out").read_text().splitlines()]
    (hello,) = [line for line in lines if line["kind"] == "hello"]
    assert hello["argv"][-2:] == ["die.py", "an argument"]
    assert (hello["cwd"], hello["uid"]) == (str(here), os.getuid())
    assert os.path.samefile(hello["executable"], sys.executable)
    assert hello["start"] > 0
    (system,) = [line for line in lines if line.get("name") == "os.system"]
    assert system["frames"][0]["file"] == str(here / "die.py")
    (alert,) = [line for line in lines if line["kind"] == "alert"]
    assert (alert["rule"], alert["event"]) == ("shell-from-python", "os.system")
    assert [line["finding"] for line in lines if line["kind"] == "finding"] == ["vanished"]


@pytest.mark.parametrize(
    ("code", "status", "ended"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            139,
            "ended by SIGSEGV from itself",
        ),
        ("raise SystemExit(139)", 139, "exit status 139"),
    ],
)
def test_an_end_by_a_signal_is_told_apart_from_a_status(
    belljar: Callable, code: str, status: int, ended: str
) -> None:
    ran = belljar("watch", "--rules", "none", "-c", code)
    assert ran.status == status
    assert ran.stderr.splitlines()[0].endswith(f", {ended}")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--events", "opne", "-c", "pass"], "no event 'opne' in the catalogue; near: open"),
        (["--right", "conect", "-c", "pass"], "no right 'conect'; near: connect"),
        (["--must-log", "rum", "x"], "no right 'rum'; near: run"),
        (["--evnts", "open", "x"], "unknown option --evnts; near: --events"),
        (["--stacks", "33", "x"], "--stacks takes a number from 0 to 32, not '33'"),
        (["--on-overflow", "lose", "x"], "--on-overflow takes block, drop, exit, not 'lose'"),
        (["--sync", "soon", "x"], "--sync takes never, batch, always, not 'soon'"),
        (["--fail-on", "denial", "x"], "--fail-on takes alert, finding, not 'denial'"),
        (["--deadline", "0s", "x"], "--deadline: "),
        (["--events", "open,", "x"], "--events has an empty entry: 'open,'"),
        (["--live", "-c", "pass"], "--live needs a terminal on standard error"),
        (["--live", "--quiet", "-c", "pass"], "--live and --quiet do not go together"),
        (["--quiet", "--to", "x.txt", "x"], "--quiet writes nothing: not together with --to"),
        (["--to", "/no/such/x", "-c", "pass"], "cannot watch: /no/such/x: No such file"),
        (["--live", "--json", "x"], "--live and --json need --to FILE for the JSON"),
        (["--must-log", "run", "--ledger", "none", "x"], "--must-log needs a record"),
        (["--rules", "/no/such.toml", "-c", "pass"], "/no/such.toml"),
    ],
)
def test_a_mistake_gets_one_clear_line(belljar: Callable, argv: list[str], said: str) -> None:
    ran = belljar("watch", *argv)
    assert ran.stdout == ""
    assert said in ran.stderr.splitlines()[0]
    assert ran.status == (125 if "/no/such" in said else 2)


def test_a_pattern_of_an_applications_events_is_no_mistake(belljar: Callable) -> None:
    code = "import sys; sys.audit('app.start'); sys.audit('sockt.x')"
    ran = belljar("watch", "--rules", "none", "--events", "app.*,sockt.*", "-c", code)
    lines = ran.stderr.splitlines()
    said = "belljar: warning: sockt.* is taken for an application's; near: socket.*"
    assert (ran.status, lines[0]) == (0, said)
    assert "  raised   app.start, sockt.x" in lines


def in_terminal(argv: list[str], env: dict[str, str], cwd: Path, columns: int) -> tuple[int, str]:
    """The exit status of `argv` in a terminal of its own, and all it wrote there."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(argv[0], argv, {**env, "TERM": "xterm"})
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    data = bytearray()
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if select.select([fd], [], [], 1)[0]:
            try:
                more = os.read(fd, 65536)
            except OSError:
                break
            if not more:
                break
            data += more
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), data.decode()


PROGRAM = (sys.executable, "-c", "import sys; from belljar.cli import main; sys.exit(main())")


@pytest.mark.parametrize("columns", [80, 100])
def test_the_live_view_stands_below_the_output_and_leaves_the_summary(
    clean_env: dict[str, str], here: Path, columns: int
) -> None:
    (here / "slow.py").write_text(
        "import os, sys, time\n"
        "print('a terminal:', sys.stdout.isatty(), os.get_terminal_size().columns)\n"
        "for n in range(5):\n"
        "    open('data.txt').close()\n"
        "    print('\\x1b[32mline\\x1b[0m', n)\n"
        "    time.sleep(0.15)\n"
        "sys.stderr.write('no newline')\n"
        "raise SystemExit(7)\n"
    )
    argv = [*PROGRAM, "watch", "--live", "--rules", "none", "slow.py"]
    status, text = in_terminal(argv, clean_env, here, columns)
    assert status == 7
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert f"a terminal: True {columns}" in shown
    assert all(f"line {n}" in shown for n in range(5))
    assert "\x1b[32mline" in text
    assert re.search(r"belljar  \d s  \d+ events  \d+/s  1 process, 1 running", shown)
    assert re.search(r"read +\d+/s +\d+", shown)
    assert text.rindex("no newline") < text.rindex("\x1b[r") < text.rindex("exit status 7")
    last = shown[shown.rindex("belljar: ") :]
    assert "read     ./data.txt" in last
    assert "running" not in last


def test_without_live_the_terminal_is_the_programs_own(
    clean_env: dict[str, str], here: Path
) -> None:
    argv = [*PROGRAM, "watch", "--quiet", "-c", "import os; print(os.ttyname(1) == os.ttyname(0))"]
    assert in_terminal(argv, clean_env, here, 80) == (0, "True\r\n")
