"""Rules that refuse, and events that wait for the record, in `belljar run` in each tier."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from tiers import Tier

RULES = """\
schema = 1

[[rule]]
id = "no-refunds"
text = "money was about to be given back"
match.event = "shop.refund"
then = "{then}"
"""
REFUND = """
import sys
print("before", flush=True)
try:
    sys.audit("shop.refund", 5)
except PermissionError as error:
    print("refused:", error)
sys.audit("shop.sale", 5)
print("after")
"""


def run(tier: Tier, *words: str) -> tuple[int, str, str]:
    process = tier.start("run", *words)
    out, err = process.communicate(timeout=30)
    return process.returncode, out.decode(), err.decode()


def policy(tier: Tier, then: str) -> str:
    path = tier.home / f"{then}.toml"
    path.write_text(RULES.format(then=then))
    return str(tier.own(path))


def decisions(tier: Tier, ledger: str) -> list[dict]:
    words = [*tier.command()[-3:], "log", "tail", "-n", "500", "--json", ledger]
    done = subprocess.run(words, env=tier.env, capture_output=True, check=True, **tier.identity)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [row for row in rows if row["kind"] in ("event", "decision")]


def test_what_a_rule_denies_is_refused_recorded_and_called_a_window(tier: Tier) -> None:
    ledger = str(tier.home / "denied")
    status, out, err = run(
        tier, "--policy", policy(tier, "deny"), "--ledger", ledger, "--receipt", "-c", REFUND
    )
    assert (status, out) == (
        0,
        "before\nrefused: [Errno 13] Permission denied: shop.refund is refused by a rule\nafter\n",
    ), err
    assert 'denied[shop.refund]: guest "-c" may not raise shop.refund' in err
    assert "  how     refused in the process itself: a window, not a wall\n" in err
    assert "  rules       none " in err
    rows = decisions(tier, ledger)
    (decided,) = [row["data"] for row in rows if row["kind"] == "decision"]
    assert (decided["verdict"], decided["id"], decided["then"]) == ("deny", "no-refunds", "deny")
    asked = [row["seq"] for row in rows if row["data"].get("name") == "shop.refund"]
    assert asked == [decided["seq"]]


def test_what_a_rule_kills_for_does_not_happen(tier: Tier) -> None:
    ledger = str(tier.home / "killed")
    status, out, err = run(tier, "--policy", policy(tier, "kill"), "--ledger", ledger, "-c", REFUND)
    assert (status, out) == (128 + signal.SIGKILL, "before\n")
    assert "the process was told to end itself before it: a window, not a wall" in err
    rows = decisions(tier, ledger)
    assert [r["data"]["name"] for r in rows if r["kind"] == "event"][-1] == "shop.refund"


def test_a_rule_that_never_fires_changes_nothing(tier: Tier) -> None:
    words = ("--policy", policy(tier, "deny"), "-c", "import json, sqlite3; print(1)")
    assert run(tier, *words)[:2] == (0, "1\n")


def test_a_connection_waits_until_the_ledger_has_it(tier: Tier) -> None:
    """Seen from outside: while the host is stopped, the connection does not get made."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(2)
        port = listener.getsockname()[1]
        code = (
            "import socket, sys, time\n"
            "print('ready', flush=True)\n"
            "time.sleep(1)\n"
            "began = time.monotonic()\n"
            f"socket.create_connection(('127.0.0.1', {port})).sendall(b'x')\n"
            "print(time.monotonic() - began)\n"
        )
        process = tier.start("run", "--connect", f"127.0.0.1:{port}", "-c", code)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            listener.accept()
        process.send_signal(signal.SIGCONT)
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(10) == b"x"
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert 0.5 < float(out) < 5


def test_when_the_host_does_not_answer_in_time_it_is_refused(tier: Tier) -> None:
    code = (
        "import sqlite3, sys, time\n"
        "print('ready', flush=True)\n"
        "time.sleep(1)\n"
        "try:\n"
        "    import _ctypes_test\n"
        "except (PermissionError, ImportError) as error:\n"
        "    print(error)\n"
    )
    code = code.replace("import _ctypes_test", "sys.audit('sqlite3.load_extension', None, '/x')")
    process = tier.start("run", "--must-log", "native", "-c", code)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGSTOP)
    timer = threading.Timer(7, process.send_signal, (signal.SIGCONT,))
    timer.start()
    out, err = process.communicate(timeout=30)
    timer.cancel()
    assert process.returncode == 0, err
    assert out == (
        b"[Errno 13] Permission denied: "
        b"the record did not acknowledge sqlite3.load_extension in time\n"
    )


def test_nothing_of_it_is_left_behind(tier: Tier) -> None:
    before = set(os.listdir(tier.temporary))
    run(tier, "--policy", policy(tier, "deny"), "-c", REFUND)
    deadline = time.monotonic() + 5
    while set(os.listdir(tier.temporary)) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(os.listdir(tier.temporary)) == before
