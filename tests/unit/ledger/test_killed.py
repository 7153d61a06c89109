"""SIGKILL of writers at any moment: what was acknowledged is there, what is torn is told."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import struct
import time
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from belljar.errors import LedgerError
from belljar.ledger import EVENTS, Writer
from belljar.ledger.format import RECOVERED
from belljar.ledger.reader import read, verify

LONG = os.environ.get("BELLJAR_LONG") == "1"
ACK = struct.Struct("<QI8s")
ROUNDS, KILLS, WRITERS = (100, 20, 4) if LONG else (5, 20, 4)
MOST_BYTES = 100 << 20  # a book is closed before that
LARGE = 1 << 18


def torn_write(chance: random.Random) -> Callable[[int, bytes], int]:
    """`os.write`, but one of the large ones is cut short by SIGKILL, at any byte: what a kill
    does that finds the kernel between two pages."""
    write, left = os.write, chance.randint(1, 2)

    def until_killed(fd: int, data: bytes) -> int:
        nonlocal left
        left -= len(data) >= LARGE
        if left or len(data) < LARGE:
            return write(fd, data)
        write(fd, memoryview(data)[: chance.randrange(1, len(data))])
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    return until_killed


def write_until_killed(directory: str, acks: int, seed: int, torn: bool) -> None:
    """Append batches of all sizes; every acknowledged one is noted after the fact."""
    signal.alarm(60)  # whatever becomes of the test, this process ends and writes little
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))
    parent = os.getppid()
    chance = random.Random(seed)
    run = chance.randbytes(16)
    source = chance.randbytes(1 << 19) * 4
    writer = Writer(directory, clerk=False, sync="never")
    sizes = (LARGE,) if torn or chance.random() < 0.4 else (0, 90, 4000, 20_000, 100_000)
    if torn:
        os.write = torn_write(chance)  # type: ignore[assignment]
    while os.getppid() == parent:
        items = []
        for _ in range(chance.randint(1, 2)):
            size = chance.choice(sizes)
            start = chance.randrange(1 << 19)
            items.append((EVENTS, chance.randint(1, 50), source[start : start + size]))
        numbers = writer.append(items, run)
        for number, (_kind, count, payload) in zip(numbers, items, strict=True):
            os.write(acks, ACK.pack(number, count, sha256(payload).digest()[:8]))
        time.sleep(chance.random() / 100)


def start_writer(directory: str, acks: int, seed: int, torn: bool = False) -> int:
    child = os.fork()
    if child == 0:
        try:
            write_until_killed(directory, acks, seed, torn)
        except LedgerError as error:
            if "File too large" in str(error):
                signal.pause()  # the limit is reached: this one waits for its end
            traceback.print_exc()
        finally:
            os._exit(9)
    return child


def kill(victim: int) -> None:
    os.kill(victim, signal.SIGKILL)
    assert os.waitpid(victim, 0)[1] == signal.SIGKILL, "the writer had ended by itself"


def one_round(directory: str, chance: random.Random) -> tuple[int, int]:
    """`KILLS` kills among `WRITERS` concurrent writers; torn ends and acknowledged records.

    Every second is at a random moment, the others are in the midst of a write. Of those the last
    comes when nobody else is left: what it leaves torn nobody has mended yet.
    """
    notes = os.open(directory + ".acks", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    alive = [start_writer(directory, notes, chance.getrandbits(32)) for _ in range(WRITERS)]
    try:
        for number in range(KILLS):
            if number % 2:
                time.sleep(chance.random() / 120)
                kill(alive.pop(chance.randrange(len(alive))))
                alive.append(start_writer(directory, notes, chance.getrandbits(32)))
            else:
                torn = start_writer(directory, notes, chance.getrandbits(32), torn=True)
                assert os.waitpid(torn, 0)[1] == signal.SIGKILL, "it ended by itself"
            if number % 10 == 0:
                verify(directory)  # beside writers that are at work
    finally:
        for victim in alive:
            kill(victim)
    last = start_writer(directory, notes, chance.getrandbits(32), torn=True)
    assert os.waitpid(last, 0)[1] == signal.SIGKILL, "it ended by itself"

    left = verify(directory)
    assert left.torn, "no kill hit a write: this proved nothing"
    assert left.complete + left.torn == os.path.getsize(directory + "/ledger.blj")
    assert left.why
    with Writer(directory, clerk=False) as writer:
        writer.append([(EVENTS, 1, b"after")], bytes(16))
    report = verify(directory)
    assert report.torn == 0
    # A recovery that was itself killed is told twice, never less than once.
    assert report.recovered >= left.recovered + 1
    told = [msgspec.msgpack.decode(r.payload) for r in read(directory) if r.kind == RECOVERED]
    kept = {path.name: path.read_bytes() for path in Path(directory).glob("torn-*")}
    assert {note["file"] for note in told} == set(kept)
    for note in told:
        data = kept[note["file"]]
        assert (note["length"], note["sha256"]) == (len(data), sha256(data).hexdigest())

    there = {r.first: (r.count, sha256(r.payload).digest()[:8]) for r in read(directory)}
    os.lseek(notes, 0, os.SEEK_SET)
    acknowledged = 0
    while note := os.read(notes, ACK.size):
        number, count, digest = ACK.unpack(note)
        assert there[number] == (count, digest)
        acknowledged += 1
    os.close(notes)
    return report.recovered, acknowledged


def test_kills_of_concurrent_writers_lose_nothing_acknowledged(tmp_path: Path) -> None:
    """A hundred kills; BELLJAR_LONG=1 makes it 2,000."""
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    began = time.monotonic()
    torn = acknowledged = 0
    for number in range(ROUNDS):
        directory = str(tmp_path / f"round{number}")
        with Writer(directory):
            pass
        more = one_round(directory, chance)
        torn += more[0]
        acknowledged += more[1]
        shutil.rmtree(directory)
    seconds = time.monotonic() - began
    print(
        f"{ROUNDS * (KILLS + 1)} kills, {seconds:.0f} s: {acknowledged} acknowledged, {torn} torn"
    )
    assert acknowledged > ROUNDS * KILLS
    assert torn >= ROUNDS * (KILLS // 2)


def test_every_length_of_a_torn_end_is_told_kept_and_written_over(tmp_path: Path) -> None:
    first = str(tmp_path / "first")
    with Writer(first) as writer:
        writer.append([(EVENTS, 3, b"whole")], bytes(16))
        complete = os.path.getsize(writer.path)
        writer.append([(EVENTS, 2, b"torn" * 20)], bytes(16))
        data = Path(writer.path).read_bytes()
    for length in range(complete + 1, len(data)):
        directory = tmp_path / str(length)
        directory.mkdir(0o700)
        (directory / "ledger.blj").write_bytes(data[:length])
        (directory / "ledger.blj").chmod(0o600)
        before = verify(str(directory))
        assert (before.complete, before.torn) == (complete, length - complete)
        with Writer(str(directory)) as writer:
            assert writer.append([(EVENTS, 1, b"next")], bytes(16)) == [5]
        after = verify(str(directory))
        assert (after.records, after.entries, after.torn, after.recovered) == (3, 5, 0, 1)
        told = [r for r in read(str(directory)) if r.kind == RECOVERED]
        (side,) = directory.glob("torn-*")
        assert side.read_bytes() == data[complete:length]
        assert side.name.encode() in told[0].payload
        assert sha256(data[complete:length]).hexdigest().encode() in told[0].payload


def test_zeros_that_a_crashed_machine_left_are_a_torn_end(tmp_path: Path) -> None:
    with Writer(str(tmp_path / "l")) as writer:
        writer.append([(EVENTS, 3, b"whole")], bytes(16))
        complete = os.path.getsize(writer.path)
        writer.append([(EVENTS, 1, b"x" * 300)], bytes(16))
        data = Path(writer.path).read_bytes()
    for kept in (0, 3, 40, 200, 388):
        Path(writer.path).write_bytes(data[: complete + kept].ljust(len(data) + 4096, b"\0"))
        assert verify(str(tmp_path / "l")).complete == complete


def test_a_torn_file_header_is_kept_and_replaced(tmp_path: Path) -> None:
    with Writer(str(tmp_path)) as writer:
        data = Path(writer.path).read_bytes()
    for length in range(1, len(data)):
        Path(writer.path).write_bytes(data[:length])
        assert verify(str(tmp_path)).torn == length
        with Writer(str(tmp_path)) as again:
            assert again.append([(EVENTS, 1, b"")], bytes(16)) == [2]
        assert verify(str(tmp_path)).recovered == 1


@pytest.mark.parametrize("stage", ["rename", "ftruncate", "write", "told"])
def test_a_recovery_that_is_itself_killed_is_finished_by_the_next_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    directory = str(tmp_path)
    with Writer(directory) as writer:
        writer.append([(EVENTS, 1, b"whole")], bytes(16))
        with open(writer.path, "ab") as file:
            file.write(b"\xb1LJ")
    child = os.fork()
    if child == 0:
        die = lambda *_args, **_options: os._exit(7)  # noqa: E731
        if stage == "told":
            monkeypatch.setattr("belljar.ledger.recover.told", die)
        elif stage == "write":
            monkeypatch.setattr("belljar.ledger.recover.untold", die)
        else:
            monkeypatch.setattr(os, stage, die)
        try:
            Writer(directory)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with Writer(directory) as writer:
        writer.append([(EVENTS, 1, b"next")], bytes(16))
    report = verify(directory)
    assert report.torn == 0
    assert report.recovered == (2 if stage in ("ftruncate", "told") else 1)
    kept = list(tmp_path.glob("torn-*"))
    assert kept
    assert {(p.suffix, p.read_bytes()) for p in kept} == {(".bin", b"\xb1LJ")}
