"""`belljar watch` passes the program through untouched and tells what it did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from belljar.cli.watch import parse
from belljar.errors import UsageError

PROGRAM = "import sys; from belljar.cli.watch import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def watch(tmp_path):
    """Runs `belljar watch` in an empty directory."""

    def run(*argv, **options):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *argv],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=_env(tmp_path),
            **options,
        )

    return run


def _env(home):
    return {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "PATH": "/usr/bin:/bin",
        "XDG_STATE_HOME": str(home / "state"),
    }


def test_output_input_and_status_are_the_programs_own(watch):
    code = "import sys; print(sys.stdin.read()[::-1]); sys.stderr.write('e\\n'); sys.exit(7)"
    done = watch("--quiet", "-c", code, input="abc")
    assert (done.returncode, done.stdout, done.stderr) == (7, "cba\n", "e\n")


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["--", "/bin/sh", "-c", "kill -TERM $$"], 128 + 15),
        (["--", "/bin/sh", "-c", "exit 3"], 3),
        (["--", "no-such-program"], 127),
        (["--", "/no/such/program"], 127),
        (["--", "/etc/hostname"], 126),
        (["--", "/etc"], 126),
        (["no-such-script.py"], 127),
        (["--python", "/no/python", "-c", "pass"], 127),
        (["--bogus"], 2),
        ([], 2),
    ],
)
def test_exit_statuses_are_as_a_shell_gives_them(watch, argv, status):
    assert watch("--ledger", "none", *argv).returncode == status


def test_the_summary_tells_what_happened(watch, tmp_path):
    (tmp_path / "helper.py").write_text("x = 1\n")
    (tmp_path / "job.py").write_text(
        "import json, helper, socket, subprocess\n"
        "open('/etc/hostname').read()\n"
        "open('made.txt', 'w').close()\n"
        "subprocess.run(['/bin/echo', '\\x1b[31m'], stdout=subprocess.DEVNULL)\n"
        "s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 1)); s.close()\n"
        "exec('y = 2')\n"
    )
    done = watch("--rules", "none", "job.py")
    assert done.returncode == 0
    head, program, *rows = done.stderr.splitlines()
    assert "announced by 1 process" in head
    assert program == "the program (job.py)"
    text = "\n".join(rows)
    for row in (
        "  read     /etc/hostname, ./helper.py\n",
        "./made.txt\n",
        "  started  /bin/echo '\\x1b[31m'\n",
        "  network  connect 127.0.0.1:1\n",
        "  imports  helper, of ",
        "  code     ./job.py:6: y = 2\n",
    ):
        assert row in text, done.stderr
    assert "\x1b" not in done.stderr
    assert "finding" not in text


def test_a_process_that_vanishes_is_a_finding(watch):
    done = watch("-c", "import os; os.kill(os.getpid(), 9)")
    assert done.returncode == 137
    assert "ended without a farewell" in done.stderr


def test_json_gives_one_object_a_line_with_stable_keys(watch, tmp_path):
    done = watch("--json", "--to", "out.json", "-c", "print(1); open('\\udcff', 'w')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    lines = [json.loads(line) for line in (tmp_path / "out.json").read_text().splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds == ["hello", *["event"] * (len(lines) - 2), "bye"]
    events = [line for line in lines if line["kind"] == "event"]
    keys = {
        "kind", "seq", "time", "pid", "thread", "name", "args", "right", "target", "asked",
        "stack", "cwd", "refused", "frames", "package",
    }  # fmt: skip
    assert all(set(event) == keys for event in events)
    assert {event["package"] for event in events} >= {"", "interpreter", "standard library"}
    (opened,) = [e for e in events if e["right"] == "write" and e["target"]]
    assert opened["target"] == f"{tmp_path}/\udcff"


def test_the_record_verifies_and_holds_every_event(watch, tmp_path):
    from belljar.ledger.entries import expand
    from belljar.ledger.reader import read, verify

    done = watch("--quiet", "--ledger", "led", "-c", "import json")
    assert (done.returncode, done.stderr) == (0, "")
    directory = str(tmp_path / "led")
    assert verify(directory).runs == 1
    entries = [entry for record in read(directory) for entry in expand(record)]
    kinds = [entry.kind for entry in entries]
    assert kinds[:2] == ["start", "hello"]
    assert kinds[-2:] == ["bye", "end"]
    assert set(kinds[2:-2]) == {"event"}
    assert entries[0].data["argv"][1:] == ["-c", "import json"]
    assert entries[-1].data["status"] == 0
    assert entries[-1].data["findings"] == []


def test_a_ledger_that_cannot_be_opened_refuses_to_start(watch):
    done = watch("--ledger", "/dev/null/x", "-c", "print(1)")
    assert (done.returncode, done.stdout) == (125, "")


def test_the_environment_chosen_is_the_active_one(watch, tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    fake = tmp_path / ".venv" / "bin" / "python"
    fake.write_text("#!/bin/sh\necho local $*\n")
    fake.chmod(0o755)
    assert watch("--quiet", "-m", "mod", "arg").stdout == "local -m mod arg\n"


def test_termination_is_passed_on_and_interrupts_are_left_to_the_program(tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *a: sys.exit(21))\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)\n"
    )
    argv = [sys.executable, "-c", PROGRAM, "--quiet", "--ledger", "none", "-c", code]
    with subprocess.Popen(argv, env=_env(tmp_path), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        time.sleep(0.05)
        assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 21


def test_the_program_starts_with_the_signals_it_would_have_had(watch):
    code = "import signal; print(*(int(signal.getsignal(n)) for n in (3, 15, 25)))"
    assert watch("--quiet", "--ledger", "none", "-c", code).stdout == "0 0 1\n"
    shell = watch("--quiet", "--ledger", "none", "--", "/bin/sh", "-c", "kill -PIPE $$")
    assert shell.returncode == 128 + signal.SIGPIPE


def test_a_child_that_outlives_the_program_is_told(watch):
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'print(1, flush=True); input()'],\n"
        "    stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "p.stdout.readline()\n"
        "import os; os.set_inheritable(p.stdin.fileno(), True)\n"
        "os.spawnv(os.P_NOWAIT, '/bin/sleep', ['sleep', '2'])\n"
        "os._exit(0)\n"
    )
    assert "was still running" in watch("-c", code).stderr


@pytest.mark.parametrize(
    ("argv", "command", "is_python"),
    [
        (["a.py", "--json"], ["a.py", "--json"], True),
        (["--json", "-m", "x", "-c"], ["-m", "x", "-c"], True),
        (["--ledger=none", "--", "-c"], ["-c"], False),
    ],
)
def test_options_end_where_the_program_begins(argv, command, is_python):
    options = parse(argv)
    assert (options.command, options.is_python) == (command, is_python)


@pytest.mark.parametrize("argv", [["-c"], ["-m"], ["--to"], ["--"], ["--nope", "x"]])
def test_a_command_line_that_makes_no_sense_is_a_usage_error(argv):
    with pytest.raises(UsageError):
        parse(argv)


def test_a_reader_that_goes_away_does_not_end_the_program(watch, tmp_path):
    code = "import sys; [sys.audit('x', n) for n in range(5000)]; open('done', 'w').close()"
    done = watch("--json", "--to", "/dev/full", "-c", code)
    assert done.returncode == 0
    assert done.stderr == "belljar: cannot write all of /dev/full: No space left on device\n"
    assert (tmp_path / "done").exists()


def test_an_interpreter_that_was_not_heard_is_a_finding(watch, tmp_path):
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexit 4\n")
    mute.chmod(0o755)
    done = watch("--python", "./mute", "-c", "pass")
    assert done.returncode == 4
    assert "was not recorded: the recorder needs CPython 3.8" in " ".join(done.stderr.split())
