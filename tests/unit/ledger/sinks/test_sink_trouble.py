"""Full and read-only disks, clocks that jump, receivers that swallow, records that swell."""

from __future__ import annotations

import os
import random
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from belljar.ledger import Writer
from belljar.ledger.reader import Reader
from belljar.ledger.sinks import store
from belljar.ledger.sinks.config import parse
from belljar.ledger.sinks.folder import Folder
from belljar.ledger.sinks.forward import flush
from belljar.ledger.sinks.jsonlines import JsonLines

from .conftest import DECISIONS, RUN, START, Feeding, eventually, fill, items, packed
from .parsers import octet_counted, rfc5424
from .receivers import Otlp, attributes
from .test_sink_kills import numbers


def elsewhere(script: str, code: str, *words: object) -> str:
    """What `code` prints in mounts of its own, after the shell's `script`."""
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-ec", f'{script}; exec "$0" -c "$@"', sys.executable, code,
         *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


FULL = """
import os, sys
from belljar.ledger.sinks import store
from belljar.ledger.sinks.forward import flush
directory, disk = sys.argv[1:]
print(flush(directory, 1))
known = store.load(directory, store.names(directory)[0])
where = store.position(directory, known)
print(where.state, where.lost, where.why.partition(": ")[2])
with open(f"{disk}/out") as file:
    print(where.next - 1 <= len(file.readlines()))
os.unlink(f"{disk}/ballast")
print(flush(directory, 5))
with open(f"{disk}/out") as file:
    lines = file.read().splitlines()
print(store.position(directory, known).sent, all(line[-1] == "}" for line in lines), len(lines))
"""


def test_a_full_disk_of_lines_is_waited_for_and_no_line_is_torn(
    directory: str, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with Writer(directory, clerk=False) as writer:
        fill(writer, 600)
    store.add(directory, parse(f"jsonl:{disk}/out"), every_run=True, first=1)
    mount = f"mount -t tmpfs -o size=600k none {disk}; head -c 480000 /dev/zero > {disk}/ballast"
    said = elsewhere(mount, FULL, directory, disk).splitlines()
    assert said[:4] == ["False", "waiting 0 No space left on device", "True", "True"]
    assert said[4].split()[:2] == ["600", "True"]


READ_ONLY = """
import sys
from belljar.ledger.sinks.forward import flush
print(flush(sys.argv[1], 0.5))
"""


def test_a_ledger_on_a_read_only_disk_is_forwarded_all_the_same(
    directory: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with Writer(directory, clerk=False) as writer:
        fill(writer, 50)
        store.add(directory, parse(f"jsonl:{out}"), every_run=True, first=1)
        assert flush(directory, 10)
        fill(writer, 50)
    bind = f"mount --bind {directory} {directory}; mount -o remount,ro,bind {directory}"
    assert elsewhere(bind, READ_ONLY, directory) == "True\n"
    assert numbers(out) == list(range(1, 101))
    assert flush(directory, 10)  # and where it is writable again: twice rather than never
    assert numbers(out) == [*range(1, 101), *range(51, 101)]


def test_positions_that_cannot_be_kept_delay_nothing_and_are_kept_later(
    directory: str, tmp_path: Path, feeding: Callable[..., Feeding], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    whole = Folder.put
    broken = [True]

    def put(self: Folder, name: str, data: bytes) -> None:
        if broken[0] and name.endswith(".at"):
            raise OSError(28, "No space left on device")
        whole(self, name, data)

    monkeypatch.setattr(Folder, "put", put)
    with Writer(directory, clerk=False) as writer:
        fill(writer, 100)
        feed = feeding(f"jsonl:{out}")
        feed.wait()
        time.sleep(0.6)
        fill(writer, 100)
        eventually(lambda: numbers(out) == list(range(1, 201)))
        assert store.position(directory, feed.feed.registered).next == 1
        broken[0] = False
        fill(writer, 100)
    eventually(lambda: store.position(directory, feed.feed.registered).next == 301)


def test_lines_that_the_disk_did_not_keep_are_written_again(
    directory: str, tmp_path: Path, feeding: Callable[..., Feeding], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    failures = [2]

    def fdatasync(_fd: int) -> None:
        if failures[0]:
            failures[0] -= 1
            raise OSError(5, "Input/output error")

    with Writer(directory, clerk=False) as writer:
        fill(writer, 50)
    monkeypatch.setattr(os, "fdatasync", fdatasync)
    feed = feeding(f"jsonl:{out}")
    eventually(lambda: "Input/output error" in feed.feed.where.why)
    assert feed.feed.where.next == 1
    feed.wait()
    assert set(numbers(out)) == set(range(1, 51))
    assert (feed.feed.where.sent, feed.feed.where.lost) == (50, 0)


def test_a_clock_that_jumps_loses_nothing_and_never_stops_a_sink(
    directory: str, tmp_path: Path, feeding: Callable[..., Feeding], monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(1)
    monkeypatch.setattr(time, "time", lambda: dice.choice([0.0, 1e9, 4e9]))
    monkeypatch.setattr(time, "time_ns", lambda: dice.choice([0, 10**18, 2**64 - 1, 4 * 10**18]))
    out = tmp_path / "out"
    with Otlp() as receiver, Writer(directory, clerk=False) as writer:
        feeds = [feeding(f"jsonl:{out}"), feeding(f"{receiver.place}?metrics=off")]
        for now in (10**18, 1, 2**64 - 1, 5 * 10**17, 10**18):
            writer.append([(START, 1, packed({"argv": []}))], RUN, now)
        for feed in feeds:
            eventually(lambda feed=feed: feed.feed.where.sent == 5, 10, lambda: feeds[1].feed.where)
            assert feed.feed.lag >= 0
        assert {attributes(r)["belljar.entry"] for _, r in receiver.logs} == set(range(1, 6))
    assert numbers(out) == [1, 2, 3, 4, 5]


class Swallower:
    """Takes connections; the first one it never reads from, and breaks when told to."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(10)
        self.port = self.server.getsockname()[1]
        self.first: socket.socket | None = None

    def swallow(self, marker: bytes) -> None:
        """Until `marker` arrived, unread."""
        self.first, _ = self.server.accept()
        eventually(lambda: marker in self.first.recv(1 << 20, socket.MSG_PEEK))

    def break_it(self) -> None:
        assert self.first is not None
        self.first.close()  # unread bytes: that is a reset

    def read(self, marker: bytes) -> bytes:
        there, _ = self.server.accept()
        data = b""
        with there:
            while marker not in data and select.select([there], [], [], 10)[0]:
                data += there.recv(1 << 20)
        return data


@pytest.fixture
def swallower() -> Iterator[Swallower]:
    made = Swallower()
    yield made
    made.server.close()
    if made.first is not None:
        made.first.close()


def test_what_a_receiver_took_and_never_read_is_sent_again_from_the_first_message_on(
    directory: str, feeding: Callable[..., Feeding], swallower: Swallower,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    whole = Reader.records
    monkeypatch.setattr(  # the first 50 are pruned: lost, counted once however often they are met
        Reader, "records", lambda self, start=1: (r for r in whole(self, start) if r.first > 50)
    )
    with Writer(directory, clerk=False) as writer:
        fill(writer, 100)
        feed = feeding(f"syslog+tcp://127.0.0.1:{swallower.port}?size=600")
        swallower.swallow(b'entry="100"')
        feed.wait()
        swallower.break_it()
        fill(writer, 50)
    data = swallower.read(b'entry="150"')
    last = data.rindex(b'entry="150"')
    frames = octet_counted(data[: data.rindex(b"<", 0, last) - 4])
    assert [int(rfc5424(frame)["fields"]["entry"]) for frame in frames] == list(range(51, 150))
    eventually(lambda: feed.feed.where.next == 151)
    assert (feed.feed.where.sent, feed.feed.where.lost) == (100, 50)


SWOLLEN = """
import resource, sys
from belljar.ledger.sinks import forward, store
from belljar.ledger.sinks.config import parse
import belljar.ledger.sinks.feed, belljar.ledger.sinks.jsonlines, belljar.ledger.sinks.syslog
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(forward.flush(sys.argv[1], 30))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_record_of_many_things_that_are_no_entries_does_not_swell(
    directory: str, tmp_path: Path
) -> None:
    count = 60_000
    out, syslog = tmp_path / "out", tmp_path / "sock"
    with Writer(directory, clerk=False) as writer:
        writer.append([(DECISIONS, count, packed([None] * count))], RUN)
        writer.append([(DECISIONS, 1, b"\xc1" * 1_000_000)], RUN)
    store.add(directory, parse(f"jsonl:{out}"), every_run=True, first=1)
    done = subprocess.run(
        [sys.executable, "-c", SWOLLEN, directory], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    there, kilobytes = done.stdout.split()
    assert there == "True"
    assert int(kilobytes) < 60_000
    assert out.stat().st_size < 400 * count
    assert not syslog.exists()
    last = items(directory)[-1]
    assert dict(last.cut) == {"bytes": 2_000_000}
    assert sum(len(str(value)) for _, value in last.fields) < 10_000


def test_no_more_than_a_batch_is_held_whatever_the_records_weigh(
    directory: str, tmp_path: Path, feeding: Callable[..., Feeding], monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    whole = JsonLines.send

    def send(self: JsonLines, batch: list[object]) -> int:
        nonlocal most
        most = max(most, len(batch))
        return whole(self, batch)

    monkeypatch.setattr(JsonLines, "send", send)
    with Writer(directory, clerk=False) as writer:
        for _ in range(20):  # of what weighs most, no field is sent
            writer.append([(START, 1, packed({"argv": [], "policy": "x" * 400_000}))], RUN)
    feeding(f"jsonl:{tmp_path / 'out'}").wait()
    assert 0 < most <= 4
