"""`belljar log collect` as people and systemd start it, and the units we ship."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from belljar.cli.log import main as log
from belljar.ledger import START, open_writer
from belljar.ledger.collect.collector import Collector
from belljar.ledger.collect.shares import Limits
from belljar.ledger.reader import read, verify
from belljar.ledger.writer import Writer

from .conftest import fill, packed

UNITS = Path(__file__).parents[3] / "units"
COMMAND = [sys.executable, "-m", "belljar", "log", "collect"]


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory whose name is short enough for sockets in it."""
    path = tempfile.mkdtemp(prefix="belljar-")
    yield Path(path)
    shutil.rmtree(path)


def start(*words: str, made: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, "BELLJAR_CLERK": "none"}
    collector = subprocess.Popen(
        [*COMMAND, *words], stderr=subprocess.PIPE, text=True, env=environment
    )
    assert collector.stderr is not None
    if made:
        assert collector.stderr.readline() == f"belljar: made {made}\n"
    first = collector.stderr.readline()
    assert first.startswith("belljar: collecting at "), first
    return collector


def end(collector: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    collector.send_signal(number)
    said = collector.communicate(timeout=20)[1]
    assert collector.returncode == 0, said
    return said


def test_a_collector_started_by_hand_listens_and_takes_its_socket_away(home: Path) -> None:
    path, ledger = str(home / "s"), str(home / "ledger")
    for number in (signal.SIGTERM, signal.SIGINT):
        collector = start("--socket", path, "--mode", "666", "--sync", "always", ledger)
        assert os.stat(path).st_mode & 0o777 == 0o666
        with open_writer("unix:" + path) as writer:
            fill(writer, os.urandom(16))
        assert end(collector, number) == "belljar: 1 connection served\n"
        assert not os.path.exists(path)
    assert verify(ledger).runs == 2
    assert end(start("--socket", path, ledger)) == "belljar: 0 connections served\n"


def test_being_told_to_stop_again_does_nothing(home: Path) -> None:
    """As by two signals: the second may come when all is closed."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(home / "s"))
    listener.listen()
    collector = Collector(listener, Writer(str(home / "ledger")), Limits())
    collector.stop()
    collector.run()
    collector.stop()


def test_only_the_last_directory_of_the_socket_is_made_and_that_is_said(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = home / "no" / "run" / "s"
    assert log(["collect", "--socket", str(missing), str(home / "ledger")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{home / 'no'} does not exist" in said
    assert not (home / "no").exists()
    path = home / "run" / "s"
    before = os.umask(0o077)
    try:
        collector = start("--socket", str(path), str(home / "ledger"), made=str(path.parent))
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o755
    end(collector)
    end(start("--socket", str(path), str(home / "ledger")))  # nothing to make, nothing said


def test_a_socket_that_a_killed_collector_left_is_taken_over_and_one_in_use_is_not(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, ledger = str(home / "s"), str(home / "ledger")
    first = start("--socket", path, ledger)
    first.kill()
    first.communicate()
    assert os.path.exists(path)
    second = start("--socket", path, ledger)
    assert log(["collect", "--socket", path, str(home / "other")]) == 1
    assert "another collector does" in capsys.readouterr().err
    end(second)
    (home / "file").write_text("precious")
    assert log(["collect", "--socket", str(home / "file"), str(home / "other")]) == 1
    assert "cannot listen at" in capsys.readouterr().err
    assert (home / "file").read_text() == "precious"


def test_the_service_manager_s_socket_is_used_told_and_left_alone(home: Path) -> None:
    path, ledger = str(home / "s"), str(home / "ledger")
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        listener.bind(path)
        listener.listen()
        manager.bind(str(home / "notify"))
        manager.settimeout(20)

        def activate() -> int:
            child = os.fork()
            if child == 0:
                try:
                    os.dup2(listener.fileno(), 3)
                    more = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
                    more |= {"NOTIFY_SOCKET": str(home / "notify"), "BELLJAR_CLERK": "none"}
                    os.execve(COMMAND[0], [*COMMAND, ledger], {**os.environ, **more})
                finally:
                    os._exit(9)
            return child

        child = activate()
        assert manager.recv(100) == b"READY=1"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        waiting = socket.socket(socket.AF_UNIX)
        waiting.connect(path)  # nobody is there: it waits for the next one
        child = activate()
        assert waiting.recv(100)[:4] == b"BJc\n"
        waiting.close()
        with open_writer("unix:" + path) as writer:
            writer.append([(START, 1, packed({}))], bytes(16))
        os.kill(child, signal.SIGTERM)
        assert os.waitpid(child, 0)[1] == 0
        assert os.path.exists(path)
        assert [r.name for r in read(ledger)][:2] == ["sender", "start"]


@pytest.mark.parametrize(
    "words",
    [
        ["--mode", "9"], ["--mode", "0o666"], ["--rate", "1"], ["--rate", "fast"],
        ["--connections", "0"], ["--sync", "often"], ["--socket"],
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_status_2_and_makes_no_ledger(
    home: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert log(["collect", str(home / "ledger"), *words]) == 2
    assert capsys.readouterr().err
    assert not (home / "ledger").exists()


def test_the_units_are_what_systemd_understands() -> None:
    """Where systemd-analyze is not installed, only that they run the command that there is."""
    service = (UNITS / "belljar-collect.service").read_text()
    assert "belljar log collect /var/lib/belljar/ledger\n" in service
    assert "\nUser=belljar\n" in service
    assert (
        "ListenStream=/run/belljar/collect.sock\n" in (UNITS / "belljar-collect.socket").read_text()
    )
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        units = sorted(map(str, UNITS.glob("belljar-collect.*")))
        ran = subprocess.run([analyze, "verify", *units], capture_output=True, text=True)
        assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
