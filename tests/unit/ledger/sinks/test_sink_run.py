"""As a user does it: a policy names a sink, a program runs, and rsyslogd has the lines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import cannot

from belljar.ledger.tree.clerk import state
from belljar.ledger.tree.summon import taken

from .conftest import eventually
from .parsers import rfc5424
from .test_sink_rsyslogd import INSTALL, RSYSLOGD, Rsyslogd, free_port, socket

COMMAND = Path(__file__).parents[4] / "tools" / "belljar"


def test_a_policy_with_a_sink_and_a_run_are_all_that_rsyslogd_needs(tmp_path: Path) -> None:
    if RSYSLOGD is None:
        cannot(INSTALL)
    port = free_port(socket.SOCK_DGRAM)
    directory, policy = str(tmp_path / "ledger"), tmp_path / "p.toml"
    policy.write_text(f'schema = 1\n[record]\nsinks = ["syslog+udp://127.0.0.1:{port}"]\n')
    daemon = Rsyslogd(tmp_path, "imudp", f'address="127.0.0.1" port="{port}"')
    try:
        done = subprocess.run(
            [sys.executable, COMMAND, "run", "--policy", policy, "--ledger", directory,
             "-c", "import subprocess; subprocess.run(['/bin/ls'])"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                 "BELLJAR_CLERK": "auto"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "PermissionError" in done.stderr
        clerk = eventually(lambda: state(directory).get("pid"))
        kinds = eventually(
            lambda: (found := [rfc5424(m)["fields"]["kind"] for m in daemon.messages()])[-1:]
            == ["end"] and found
        )  # fmt: skip
        os.kill(clerk, signal.SIGTERM)
        eventually(lambda: not taken(directory))
    finally:
        daemon.stop()
    assert kinds[0] == "start"
    assert kinds.count("decision") >= 1  # one call of Python may raise two events
    assert kinds.count("event") > 10
