"""`belljar watch` with rules that refuse, and with rights that wait for the record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

PROGRAM = "import sys; from belljar.cli.watch import main; sys.exit(main(sys.argv[1:]))"
RULES = """\
schema = 1
[[rule]]
id = "mine"
match.event = "shop.refund"
then = "{}"
"""
REFUND = """
import sys
print("before", flush=True)
try:
    sys.audit("shop.refund", 5)
except PermissionError as error:
    print(error)
print("after", flush=True)
"""
CONNECT = """
import socket, sys
print("ready", flush=True)
sys.stdin.readline()
try:
    socket.socket().connect(("127.0.0.1", {port}))
except OSError as error:
    print(error)
"""


@pytest.fixture
def start(tmp_path):
    """Starts `belljar watch` in an empty directory."""

    def begin(*argv):
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={
                "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
                "PATH": "/usr/bin:/bin",
                "XDG_STATE_HOME": str(tmp_path / "state"),
            },
        )

    return begin


def ruled(tmp_path, then):
    (tmp_path / "my.toml").write_text(RULES.format(then))
    return ("--rules", "none", "--rules", "my.toml")


def test_deny_refuses_and_the_program_goes_on(start, tmp_path):
    done = start(*ruled(tmp_path, "deny"), "-c", REFUND)
    out, err = done.communicate(timeout=30)
    assert out.splitlines() == [
        "before",
        "[Errno 13] Permission denied: shop.refund is refused by a rule",
        "after",
    ]
    assert "denied[mine]: " in err
    assert "  how     refused in the process itself: a window, not a wall" in err
    assert ", 1 refused" in err
    assert "1 alert" not in err  # it is the same
    assert "\n  refused  shop.refund\n" in err


def test_no_spelling_of_a_path_gets_around_a_refusal(start, tmp_path):
    (tmp_path / "sec").mkdir()
    (tmp_path / "sec" / "secret.key").write_text("secret")
    (tmp_path / "my.toml").write_text(
        "schema = 1\n[[rule]]\nmatch = { event = 'open', target = '*/sec/secret.key' }\n"
        "then = 'deny'\n"
    )
    code = (
        "import io, os, pathlib\n"
        "class S(str): pass\n"
        "class B(bytes): pass\n"
        "p = os.path.abspath('sec/secret.key')\n"
        "fd = os.open('sec', 0)\n"
        "def go(call, *args, **more):\n"
        "    try: call(*args, **more); os.write(1, b'read\\n')\n"
        "    except PermissionError: os.write(1, b'refused\\n')\n"
        "go(open, S(p)); go(io.FileIO, B(p.encode())); go(io.FileIO, pathlib.Path(p))\n"
        "go(open, p.replace('/sec/', '/' * 1200 + 'sec/'))\n"
        "go(os.open, 'secret.key', 0, dir_fd=fd)\n"
        "go(open, S('my.toml'))\n"
    )
    done = start("--rules", "none", "--rules", "my.toml", "-c", code)
    out, err = done.communicate(timeout=30)
    assert out.splitlines() == ["refused"] * 5 + ["read"], err
    assert "because its target cannot be told: os.open does not say which directory" in err


def test_what_was_before_counts_after_an_exec(start, tmp_path):
    (tmp_path / "my.toml").write_text(RULES.format("deny") + 'after.event = "shop.login"\n')
    code = (
        "import os, sys\n"
        "sys.audit('shop.login')\n"
        f"os.execv(sys.executable, [sys.executable, '-c', {REFUND!r}])\n"
    )
    done = start("--rules", "none", "--rules", "my.toml", "-c", code)
    out, _ = done.communicate(timeout=30)
    assert "refused by a rule" in out


def test_kill_ends_the_process_before_the_operation(start, tmp_path):
    done = start(*ruled(tmp_path, "kill"), "-c", REFUND)
    out, err = done.communicate(timeout=30)
    assert (done.returncode, out) == (128 + signal.SIGKILL, "before\n")
    assert "killed[mine]: " in err


def test_a_child_process_and_a_thread_are_refused_as_well(start, tmp_path):
    code = (
        "import os, sys, threading\n"
        "def refund():\n"
        "    try: sys.audit('shop.refund', 1)\n"
        "    except PermissionError: os.write(1, b'refused\\n')\n"
        "t = threading.Thread(target=refund); t.start(); t.join()\n"
        "if os.fork() == 0:\n"
        "    refund(); os._exit(0)\n"
        "os.wait()\n"
        "import subprocess\n"
        "subprocess.run([sys.executable, '-c', 'import sys; sys.audit(\"shop.refund\")'],\n"
        "    stderr=subprocess.DEVNULL)\n"
    )
    done = start(*ruled(tmp_path, "deny"), "-c", code)
    out, err = done.communicate(timeout=30)
    assert out == "refused\nrefused\n"
    assert err.count("denied[mine]: ") == 3


def test_an_alert_is_an_entry_of_the_ledger_that_names_its_event(start, tmp_path):
    done = start("--ledger", "kept", *ruled(tmp_path, "alert"), "-c", REFUND)
    _, err = done.communicate(timeout=30)
    number = int(err.partition("record #")[2].split()[0])
    code = "import sys; from belljar.cli.log import main; sys.exit(main(sys.argv[1:]))"
    shown = subprocess.run(
        [sys.executable, "-c", code, "tail", "-n", "1000", "--json", str(tmp_path / "kept")],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    rows = {row["entry"]: row for row in map(json.loads, shown.stdout.splitlines())}
    decision = rows[number]["data"]
    assert (rows[number]["kind"], decision["kind"], decision["id"]) == (
        "decision",
        "alert",
        "mine",
    )
    (event,) = [r for r in rows.values() if r["kind"] == "event" and r["seq"] == decision["seq"]]
    assert event["data"]["name"] == "shop.refund"
    assert event["entry"] < number


def test_while_the_collector_is_stopped_what_must_be_logged_waits_and_then_is_refused(start):
    done = start("--must-log", "connect", "--deadline", "1s", "-c", CONNECT.format(port=9))
    assert done.stdout.readline() == "ready\n"
    done.send_signal(signal.SIGSTOP)
    done.stdin.write("go\n")
    done.stdin.flush()
    assert done.stdout.readline() == (
        "[Errno 13] Permission denied: the record did not acknowledge socket.connect in time\n"
    )
    done.send_signal(signal.SIGCONT)
    done.communicate(timeout=30)
    assert done.returncode == 0


def test_when_the_ledger_fails_what_must_be_logged_is_not_acknowledged(start, tmp_path):
    """The record ends early; what needs it is refused, the rest goes on."""
    done = start(
        "--ledger", "kept", "--must-log", "connect", "--deadline", "1s",
        "-c", CONNECT.format(port=9),
    )  # fmt: skip
    assert done.stdout.readline() == "ready\n"
    (tmp_path / "kept" / "ledger.blj").unlink()
    done.stdin.write("go\n")
    done.stdin.flush()
    out, err = done.communicate(timeout=30)
    assert out == (
        "[Errno 13] Permission denied: the record did not acknowledge socket.connect in time\n"
    )
    assert "the record ends early" in err


def test_what_is_kept_goes_on_at_once(start):
    done = start("--must-log", "connect", "-c", CONNECT.format(port=9))
    done.stdin.write("go\n")
    out, _ = done.communicate(timeout=30)
    assert out == "ready\n[Errno 111] Connection refused\n"
