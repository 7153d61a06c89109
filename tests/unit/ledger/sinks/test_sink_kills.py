"""Forwarders that are killed at any moment: nothing is missing, doubles are known, loss is exact.

`BELLJAR_LONG=1` kills 2,000 times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from belljar.ledger import Writer
from belljar.ledger.sinks import store
from belljar.ledger.sinks.config import parse

from .conftest import RUN, eventually, fill, packed
from .receivers import Otlp, attributes

LONG = os.environ.get("BELLJAR_LONG") == "1"
KILLS = 1900 if LONG else 10
SLOW_KILLS = 100 if LONG else 1


class Inbox:
    """A local syslog receiver that counts what it gets, and is slow now and then."""

    def __init__(self, path: Path) -> None:
        self.got: Counter[int] = Counter()
        self._stop = Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.05)
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                continue
            self.got[int(data.partition(b'entry="')[2].partition(b'"')[0])] += 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()


@contextmanager
def forwarding(directory: str) -> Iterator[subprocess.Popen[bytes]]:
    """A forwarder, as a clerk starts it; it is killed when the block ends."""
    command = [sys.executable, "-m", "belljar.ledger.sinks", "--clerk", directory]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def numbers(path: Path) -> list[int]:
    found = []
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        try:
            found.append(json.loads(line)["entry"])
        except ValueError:
            continue  # what a killed forwarder left of a line
    return found


def exact(directory: str, total: int) -> dict[str, store.Position]:
    """Positions by the sinks' texts; each accounts for every entry once."""
    found = {}
    for name in store.names(directory):
        known = store.load(directory, name)
        assert known is not None
        where = found[known.sink.text] = store.position(directory, known)
        assert where.next == total + 1, where
        assert where.sent + where.filtered + where.lost == total, where
    return found


@pytest.mark.timeout(2400 if LONG else 120)
def test_a_forwarder_killed_at_random_moments_delivers_every_entry_at_least_once(
    directory: str, tmp_path: Path
) -> None:
    out, few, path = tmp_path / "out.jsonl", tmp_path / "few.jsonl", tmp_path / "sock"
    texts = [f"jsonl:{out}", f"jsonl:{few}?rights=run&severity=notice", f"syslog://{path}"]
    inbox = Inbox(path)
    dice = random.Random(4)
    batch = 20
    try:
        with Writer(directory) as writer:
            for text in texts:
                store.add(directory, parse(text), every_run=True, first=1)
            total = 0
            for _kill in range(KILLS):
                fill(writer, 5 * batch, batch)
                writer.append([(1, 1, packed({"argv": ["a"]}))], RUN)
                total += 5 * batch + 1
                with forwarding(directory):
                    time.sleep(dice.uniform(0.05, 0.45))
            with forwarding(directory) as process:
                eventually(lambda: total in inbox.got and total in numbers(out)[-1:], 120)
                assert process.stdin is not None
                process.stdin.close()
                assert process.wait(30) == 0
            eventually(lambda: len(inbox.got) == total)
    finally:
        inbox.close()
    everything = set(range(1, total + 1))
    assert set(inbox.got) == set(numbers(out)) == everything
    assert set(numbers(few)) == set(range(101, total + 1, 101))
    found = exact(directory, total)
    assert [found[text].lost for text in texts] == [0, 0, 0]
    assert found[texts[1]].filtered == total - KILLS


@pytest.mark.timeout(600 if LONG else 120)
def test_what_a_receiver_refuses_is_counted_once_however_often_the_forwarder_is_killed(
    directory: str,
) -> None:
    def refuse(records: list[object]) -> int:
        return 400 if any(attributes(r)["belljar.entry"] % 50 == 0 for r in records) else 200

    dice = random.Random(5)
    with Otlp() as receiver, Writer(directory) as writer:
        receiver.refuse = refuse
        text = f"{receiver.place}?metrics=off"
        store.add(directory, parse(text), every_run=True, first=1)
        total = 0
        for _kill in range(SLOW_KILLS):
            fill(writer, 200)
            total += 200
            with forwarding(directory):
                time.sleep(dice.uniform(0.5, 1.5))
        with forwarding(directory) as process:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(60) == 0
        wanted = {n for n in range(1, total + 1) if n % 50}
        assert {attributes(r)["belljar.entry"] for _, r in receiver.logs} == wanted
        assert exact(directory, total)[text].lost == total // 50
