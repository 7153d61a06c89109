"""SIGKILL while books are closed and pruned, full and read-only disks, clocks that go back, many
processes: what was acknowledged is there, numbers and hashes go on, and nobody has to repair it.

BELLJAR_LONG=1 makes it 2,000 kills.
"""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from tests.conftest import Ran

from belljar.errors import LedgerError
from belljar.ledger import END, EVENTS, START, Writer
from belljar.ledger.books import closed, name
from belljar.ledger.prune import prune
from belljar.ledger.reader import Reader, read, verify

from .conftest import RUN, fill, frame, packed

LONG = os.environ.get("BELLJAR_LONG") == "1"
KILLS = 2000 if LONG else 60
PROCESSES = 200
WRITERS = 4
ACK = struct.Struct("<QI8s")
BOOK = 60_000


def in_a_child(work: Callable[[], None]) -> int:
    """The child that does `work`; it ends with 0, or with 9 and a traceback."""
    child = os.fork()
    if child == 0:
        status = 9
        try:
            signal.alarm(600)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


def write_until_killed(directory: str, acks: int, seed: int) -> None:
    """Batches of all sizes, deflated ones among them; each is noted once it is acknowledged."""
    chance = random.Random(seed)
    noise = chance.randbytes(1 << 16)
    run = chance.randbytes(16)
    parent = os.getppid()
    writer = Writer(directory, book=BOOK, clerk=False, sync="never")
    while os.getppid() == parent:
        items = []
        for _ in range(chance.randint(1, 3)):
            start = chance.randrange(1 << 15)
            piece = noise[start : start + chance.choice((0, 90, 4000, 20_000))]
            items.append((EVENTS, chance.randint(1, 50), piece * chance.choice((1, 1, 4))))
        for number, (_kind, count, payload) in zip(writer.append(items, run), items, strict=True):
            os.write(acks, ACK.pack(number, count, sha256(payload).digest()[:8]))


def prune_until_killed(directory: str, chance: random.Random) -> None:
    """Everything that is closed, again and again."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(chance.random() / 200)
        prune(directory, 1 << 62, tree=1 << 40)


def prune_until_half_done(directory: str, chance: random.Random) -> None:
    """Everything that is closed, and killed before one of the books is deleted."""
    unlink, left = os.unlink, chance.randint(1, len(closed(directory)))

    def die(path: str, **more: int) -> None:
        nonlocal left
        left -= path.endswith(".blj")
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        unlink(path, **more)

    os.unlink = die  # type: ignore[assignment]
    prune(directory, 1 << 62, tree=1 << 40)


def test_kills_at_random_moments_of_writers_that_close_books_and_of_pruning(
    tmp_path: Path,
) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    closings = prunings = 0
    for number in range(max(1, KILLS // 100)):
        directory = str(tmp_path / f"round{number}")
        pruned = bool(number % 2) or not LONG
        notes = os.open(directory + ".acks", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        Writer(directory, clerk=False).close()

        def writer(directory: str = directory, notes: int = notes) -> int:
            seed = chance.getrandbits(32)
            return in_a_child(lambda: write_until_killed(directory, notes, seed))

        def pruner(directory: str = directory) -> int:
            own = random.Random(chance.getrandbits(32))
            return in_a_child(lambda: prune_until_killed(directory, own))

        alive = [writer() for _ in range(WRITERS)]
        pruning = [pruner()] if pruned else []
        try:
            for turn in range(min(KILLS, 100)):
                time.sleep(chance.random() / 100)
                some = pruning if pruning and turn % 6 == 5 else alive
                victim = some.pop(chance.randrange(len(some)))
                os.kill(victim, signal.SIGKILL)
                assert os.waitpid(victim, 0)[1] == signal.SIGKILL, "it had ended by itself"
                some.append(pruner() if some is pruning else writer())
        finally:
            for victim in (*alive, *pruning):
                os.kill(victim, signal.SIGKILL)
                os.waitpid(victim, 0)
        with Writer(directory, book=BOOK, clerk=False) as last:
            while len(closed(directory)) < 3:
                last.append([(EVENTS, 1, os.urandom(20_000))], RUN)
        closings += verify(directory).books
        if pruned:
            half = in_a_child(lambda d=directory: prune_until_half_done(d, chance))  # type: ignore[misc]
            assert os.waitpid(half, 0)[1] == signal.SIGKILL, "it had ended by itself"
            prune(directory, 0, tree=1 << 40)
        report = verify(directory)
        assert report.torn == 0
        prunings += bool(report.pruned)
        there = {r.first: (r.count, sha256(r.payload).digest()[:8]) for r in read(directory)}
        os.lseek(notes, 0, os.SEEK_SET)
        acknowledged = 0
        while note := os.read(notes, ACK.size):
            first, count, digest = ACK.unpack(note)
            acknowledged += 1
            if first > report.pruned:
                assert there[first] == (count, digest)
        assert acknowledged > 20
        os.close(notes)
    print("books", closings, "rounds with pruning", prunings)
    assert closings > 2
    assert prunings


def test_many_processes_write_at_once_and_every_entry_is_there_once(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")

    def work(number: int) -> None:
        with Writer(directory, book=20_000, clerk=False, sync="never") as writer:
            for turn in range(5):
                writer.append([(EVENTS, 1, b"%d %d" % (number, turn) + bytes(200))], RUN)

    children = [in_a_child(lambda n=n: work(n)) for n in range(PROCESSES)]  # type: ignore[misc]
    with (
        Reader(directory)
        if os.path.exists(directory + "/ledger.blj")
        else Waiting(directory) as reader
    ):
        for _ in range(20):
            list(reader.records())
            time.sleep(0.01)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * PROCESSES
    found = [r.payload[:-200] for r in read(directory) if r.kind == EVENTS]
    assert sorted(found) == sorted(b"%d %d" % (n, t) for n in range(PROCESSES) for t in range(5))
    assert len(closed(directory)) > 3
    assert verify(directory).torn == 0


def Waiting(directory: str) -> Reader:
    """A reader, once there is something to read."""
    for _ in range(1000):
        try:
            return Reader(directory)
        except LedgerError:
            time.sleep(0.005)
    raise AssertionError("nobody wrote")


def test_two_runs_at_once_in_one_directory_keep_their_entries_apart(tmp_path: Path) -> None:
    directory = str(tmp_path)

    def one(run: bytes) -> None:
        with Writer(directory, clerk=False, sync="never") as writer:
            writer.append([(START, 1, packed({"run": run}))], run)
            for turn in range(50):
                writer.append([(EVENTS, 2, frame(seq=turn) * 2)], run)
            writer.append([(END, 1, packed({}))], run)

    runs = [bytes([n]) * 16 for n in (1, 2)]
    children = [in_a_child(lambda run=run: one(run)) for run in runs]  # type: ignore[misc]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    for run in runs:
        mine = [r for r in read(directory) if r.run == run]
        assert [r.name for r in mine] == ["start", *["events"] * 50, "end"]
    assert verify(directory).unfinished == ()


def test_two_commands_at_once_in_one_directory_keep_one_ledger(
    tmp_path: Path, belljar: Callable[..., Ran]
) -> None:
    """`belljar run`, each with its guest's events."""
    ledger = tmp_path / "ledger"
    (tmp_path / "job.py").write_text(
        "import json, sys\nfor _ in range(50): open(sys.argv[0]).close()\n"
    )
    done: list[Ran] = []

    def one() -> None:
        done.append(belljar("run", "--ledger", ledger, "--read", ".", "job.py", cwd=tmp_path))

    both = [threading.Thread(target=one) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert [ran.status for ran in done] == [0, 0], [ran.stderr for ran in done]
    report = verify(str(ledger))
    assert (report.runs, report.unfinished, report.torn, report.again) == (2, (), 0, ())
    runs = {r.run: [] for r in read(str(ledger)) if r.kind == START}  # type: ignore[var-annotated]
    for record in read(str(ledger)):
        if record.run in runs:
            runs[record.run].append(record.name)
    for names in runs.values():
        assert (names[0], names[-1]) == ("start", "end")
        assert names.count("start") == names.count("end") == 1


def test_a_clock_that_jumps_back_changes_times_and_nothing_else(tmp_path: Path) -> None:
    directory = str(tmp_path)
    with Writer(directory, book=500, clerk=False) as writer:
        times = [10**18, 10**18 + 5, 10**17, 0, 10**18, (1 << 64) - 1, 3]
        for now in times:
            fill(writer, now=now)
    seen = [r.time for r in read(directory) if r.kind == START]
    assert seen == times
    assert verify(directory).torn == 0
    # A book counts as old only when all of its records are.
    assert [one.book for one in prune(directory, 10**18, tree=1 << 40)] == []


FULL = """
import os, sys
from belljar.errors import LedgerError
from belljar.ledger import EVENTS, Writer
from belljar.ledger.reader import verify
directory, book = sys.argv[1] + "/ledger", int(sys.argv[2])
kept, failed = 0, []
writer = Writer(directory, clerk=False, book=book)
size = 90_000
while size > 10:
    try:
        writer.append([(EVENTS, 1, os.urandom(size))], bytes(range(16)))
        kept += 1
    except LedgerError as error:
        failed.append(str(error))
        size //= 2
assert failed and all("No space left" in text for text in failed), failed
report = verify(directory)
assert report.torn == 0, report
assert report.entries == kept + report.books - 1, (kept, report)
writer.close()
os.unlink(sys.argv[1] + "/ballast")
with Writer(directory, clerk=False, book=book) as writer:
    writer.append([(EVENTS, 1, b"room again")], bytes(16))
report = verify(directory)
print("kept", kept, "books", report.books, "entries", report.entries - kept)
"""


@pytest.mark.parametrize("book", [1 << 30, 200_000])
def test_a_full_disk_costs_what_was_refused_and_nothing_else(tmp_path: Path, book: int) -> None:
    mount = f"mount -t tmpfs -o size=2m none {tmp_path}"
    ballast = f"head -c 400000 /dev/zero > {tmp_path}/ballast"
    script = f'{mount} && {ballast} && exec "$0" -c "$1" {tmp_path} {book}'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, sys.executable, FULL],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("kept ")
    assert ("books 1 " in done.stdout) == (book > 1 << 20)


READ_ONLY = """
import sys
from belljar.errors import LedgerError
from belljar.ledger import Writer
from belljar.ledger.prune import prune
from belljar.ledger.reader import read, verify
report = verify(sys.argv[1])
assert len(list(read(sys.argv[1]))) == report.records
for refused in (lambda: Writer(sys.argv[1]), lambda: prune(sys.argv[1], 1 << 62, tree=1 << 40)):
    try:
        refused()
    except LedgerError as error:
        print(error)
"""


def test_a_read_only_disk_is_read_and_refused_to_writers(tmp_path: Path) -> None:
    directory = str(tmp_path / "ledger")
    with Writer(directory, book=500, clerk=False) as writer:
        for _ in range(5):
            fill(writer)
    bind = f"mount --bind {directory} {directory} && mount -o remount,ro,bind {directory}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", bind + f' && exec "$0" -c "$1" {directory}',
         sys.executable, READ_ONLY],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all("Read-only file system" in line for line in lines)


def test_a_machine_that_crashes_before_the_next_book_is_written_leaves_the_old_one(
    tmp_path: Path,
) -> None:
    """`ledger.next` may be empty, cut or full of zeros: it is written anew."""
    directory = str(tmp_path)
    for junk in (b"", b"\x89BELL", bytes(136), os.urandom(5000)):
        Path(directory, "ledger.next").write_bytes(junk)
        with Writer(directory, book=500, clerk=False) as writer:
            for _ in range(3):
                fill(writer)
    assert verify(directory).torn == 0
    assert not os.path.exists(directory + "/ledger.next")
    assert os.path.exists(os.path.join(directory, name(1)))
