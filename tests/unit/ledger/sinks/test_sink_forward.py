"""Forwarding as a whole: kills, dead and slow receivers, restarts, other ledgers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from belljar.ledger import Writer
from belljar.ledger.sinks import store
from belljar.ledger.sinks.config import parse
from belljar.ledger.sinks.forward import Forwarder, flush

from .conftest import END, EVENTS, OTHER, RUN, START, Feeding, eventually, fill, frame, packed


def numbers(path: Path) -> list[int]:
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().split(b"\n"):
        try:
            found.append(json.loads(line)["entry"])
        except ValueError:
            continue  # what a killed forwarder left of a line
    return found


def test_dead_and_slow_receivers_delay_nobody(
    directory: str, feeding: Callable[..., Feeding], tmp_path: Path
) -> None:
    silent = socket.create_server(("127.0.0.1", 0), backlog=8)  # takes connections, reads nothing
    dead = socket.create_server(("127.0.0.1", 0))
    port = dead.getsockname()[1]
    dead.close()
    out = tmp_path / "out.jsonl"
    with Writer(directory) as writer:
        fill(writer, 5000, 500)
        slow = feeding(f"syslog+tcp://127.0.0.1:{silent.getsockname()[1]}?size=65000")
        gone = feeding(f"syslog+tcp://127.0.0.1:{port}")
        good = feeding(f"jsonl:{out}")
        good.wait()
        fill(writer, 500, 500)
        eventually(lambda: len(numbers(out)) == 5500)
        assert not slow.feed.caught_up  # nobody waited for these
        assert not gone.feed.caught_up
    eventually(lambda: gone.feed.where.state == "waiting")
    assert gone.feed.where.lost == slow.feed.where.lost == 0
    slow.end()  # while its receiver still reads nothing
    gone.end()
    silent.close()


def test_a_receiver_that_comes_back_gets_what_it_missed(
    directory: str, feeding: Callable[..., Feeding], tmp_path: Path
) -> None:
    path = tmp_path / "sock"
    with Writer(directory) as writer:
        fill(writer, 100)
    feed = feeding(f"syslog://{path}")
    eventually(lambda: feed.feed.where.state == "waiting")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        server.settimeout(10)
        for number in range(1, 101):
            assert b'entry="%d"' % number in server.recv(1 << 16)
    feed.wait()
    assert (feed.feed.where.sent, feed.feed.where.lost) == (100, 0)


def test_only_runs_that_named_a_sink_are_sent_to_it_also_after_a_restart(
    directory: str, tmp_path: Path
) -> None:
    from belljar.ledger.sinks import register

    out = tmp_path / "out.jsonl"
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": ["before"]}))], OTHER)
        ids = register(directory, [f"jsonl:{out}"], RUN)
        writer.append([(START, 1, packed({"argv": ["named"], "sinks": ids}))], RUN)
        assert flush(directory, 10)
        writer.append([(EVENTS, 1, frame("open", "/mine", "r", 0))], RUN)
        two = frame("open", "/others", "r", 0) + frame("open", "/more", "r", 0, seq=2)
        writer.append([(EVENTS, 2, two)], OTHER)
        writer.append([(END, 1, packed({"status": 0}))], RUN)
        writer.append([(EVENTS, 1, frame("open", "/late", "r", 0))], RUN)
        assert flush(directory, 10)
        assert register(directory, [f"jsonl:{out}"], RUN) == ids
    assert numbers(out) == [2, 3, 6]
    known = store.load(directory, ids[0])
    assert known is not None
    where = store.position(directory, known)
    assert (where.next, where.sent, where.filtered, where.lost) == (8, 3, 3, 0)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("?severity=warning", [4, 5, 6]),
        ("?severity=error", [5]),
        ("?rights=read", [1, 2, 5, 6]),
        ("?rights=connect,run&severity=notice", [1, 3, 4, 5, 6]),
    ],
)
def test_a_sink_gets_what_its_rights_and_severity_let_through(
    directory: str, feeding: Callable[..., Feeding], tmp_path: Path, query: str, expected: list[int]
) -> None:
    out = tmp_path / "out.jsonl"
    rows = [
        {"kind": "denial", "right": "connect", "target": "x"},
        {"kind": "alert", "right": "read", "target": "y", "then": "alert"},
    ]
    if "rights=connect" in query:
        rows[1]["right"] = "run"
    frames = frame("open", "/a", "r", 0) + frame("socket.connect", None, ("h", 1), seq=2)
    with Writer(directory) as writer:
        writer.append([(START, 1, packed({"argv": []}))], RUN)
        writer.append([(EVENTS, 2, frames), (3, 2, packed(rows))], RUN)
        writer.append([(END, 1, packed({"status": 1}))], RUN)
    feed = feeding(f"jsonl:{out}{query}")
    feed.wait()
    assert numbers(out) == expected
    assert feed.feed.where.filtered == 6 - len(expected)


def test_a_ledger_that_was_rolled_back_or_replaced_gets_no_further(
    directory: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with Writer(directory) as writer:
        sink = store.add(directory, parse(f"jsonl:{out}"), every_run=True, first=1)
        fill(writer, 100)
        shutil.copy(f"{directory}/ledger.blj", tmp_path / "older")
        fill(writer, 100)
    assert flush(directory, 10)
    at = (Path(directory) / "sinks" / f"{sink.sink.id}.at").read_bytes()
    whole = Path(directory, "ledger.blj").read_bytes()
    shutil.copy(tmp_path / "older", f"{directory}/ledger.blj")
    assert not flush(directory, 1)
    where = store.position(directory, sink)
    assert (where.state, where.next) == ("refused", 201)
    assert "ends at #100: it was cut or rolled back" in where.why

    Path(directory, "ledger.blj").unlink()
    for file in ("clerk.state",):
        Path(directory, file).unlink(missing_ok=True)
    fresh = tmp_path / "fresh"
    with Writer(str(fresh)) as writer:
        fill(writer, 200)
    shutil.copy(fresh / "ledger.blj", f"{directory}/ledger.blj")
    (Path(directory) / "sinks" / f"{sink.sink.id}.at").write_bytes(at)
    assert not flush(directory, 1)
    assert "the ledger was replaced" in store.position(directory, sink).why

    Path(directory, "ledger.blj").write_bytes(whole)
    (Path(directory) / "sinks" / f"{sink.sink.id}.at").write_bytes(at)
    assert flush(directory, 10)


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b'{"next": -1}', b'{"next": "1"}', b"\xff"])
def test_a_position_that_cannot_be_read_starts_at_the_registration(
    directory: str, tmp_path: Path, rubbish: bytes
) -> None:
    out = tmp_path / "out.jsonl"
    with Writer(directory) as writer:
        fill(writer, 50)
        sink = store.add(directory, parse(f"jsonl:{out}"), every_run=True, first=11)
    (Path(directory) / "sinks" / f"{sink.sink.id}.at").write_bytes(rubbish)
    assert flush(directory, 10)
    assert numbers(out) == list(range(11, 51))


def test_the_forwarder_starts_a_process_where_there_are_sinks_and_one_that_was_killed_again(
    directory: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with Writer(directory) as writer:
        fill(writer, 50)
    forwarder = Forwarder(directory)
    assert forwarder.step() > 0
    assert forwarder.pid == 0
    store.add(directory, parse(f"jsonl:{out}"), every_run=True, first=1)
    forwarder.step()
    first = forwarder.pid
    assert first
    eventually(lambda: len(numbers(out)) == 50)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: forwarder.step() and forwarder.pid not in (0, first))
    with Writer(directory) as writer:
        fill(writer, 50)
    eventually(lambda: len(set(numbers(out))) == 100)
    last = forwarder.pid
    forwarder.close()
    eventually(lambda: _ended(last))


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def test_pruned_entries_that_were_not_sent_are_lost_and_counted(
    directory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from belljar.ledger.reader import Reader

    out = tmp_path / "out.jsonl"
    with Writer(directory) as writer:
        fill(writer, 100)
        sink = store.add(directory, parse(f"jsonl:{out}"), every_run=True, first=1)
    whole = Reader.records
    monkeypatch.setattr(
        Reader, "records", lambda self, start=1: (r for r in whole(self, start) if r.first > 50)
    )
    assert flush(directory, 10)
    assert numbers(out) == list(range(51, 101))
    assert store.position(directory, sink).lost == 50
