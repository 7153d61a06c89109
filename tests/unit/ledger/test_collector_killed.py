"""SIGKILL of the collector and of its senders at any moment: an acknowledgement is kept."""

from __future__ import annotations

import os
import random
import struct
import time

from tests.unit.ledger.collecting import LONG, Machine, numbered
from tests.unit.ledger.conftest import packed

from belljar.errors import LedgerError
from belljar.ledger import END, EVENTS, START
from belljar.ledger.collect.remote import RemoteWriter
from belljar.ledger.reader import read, verify

KILLS, A_LEDGER, SENDERS = (2000, 100, 4) if LONG else (40, 40, 4)
#: what, index, number of the entry, run
NOTE = struct.Struct("<cQQ16s")
TRIED, KEPT, FAILED, NOBODY = b"t", b"k", b"f", b"n"


def send(here: Machine, notes: int, seed: int) -> None:
    """Runs, one after the other, until it is killed. Every append and its outcome are noted."""
    chance = random.Random(seed)
    parent = os.getppid()
    index = seed << 32
    while os.getppid() == parent:
        run = chance.randbytes(16)
        try:
            writer = RemoteWriter(here.path, deadline=60)
        except LedgerError:
            os.write(notes, NOTE.pack(NOBODY, 0, 0, run))
            continue
        try:
            writer.append([(START, 1, packed({}))], run)
            for _ in range(chance.randint(1, 40)):
                index += 1
                data = numbered(index, chance.choice((0, 0, 500, 20_000, 60_000)))
                count = chance.choice((1, 1, 1, 30))
                os.write(notes, NOTE.pack(TRIED, index, count, run))
                number = writer.append([(EVENTS, count, data * count)], run)[0]
                os.write(notes, NOTE.pack(KEPT, index, number, run))
            writer.append([(END, 1, packed({}))], run)
        except LedgerError:
            os.write(notes, NOTE.pack(FAILED, index, 0, run))
        writer.close()


def one_ledger(chance: random.Random, kills: int) -> tuple[int, int, int, int]:
    """Acknowledged, tried without that, failed by senders' own account, torn ends."""
    here = Machine()
    notes = os.open(here.home + "/notes", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        here.start(book=4 << 20)
        begin = lambda: here.fork(lambda: send(here, notes, chance.getrandbits(31)))  # noqa: E731
        alive = []
        for _ in range(SENDERS):
            chance.random()
            alive.append(begin())
        collectors = 0
        for _ in range(kills):
            time.sleep(chance.random() / 30)
            if chance.random() < 0.5:
                assert here.kill(here.pid) == -9, "the collector had ended by itself"
                here.start(book=4 << 20)
                collectors += 1
            else:
                assert here.kill(alive.pop(chance.randrange(SENDERS))) == -9
                chance.random()
                alive.append(begin())
        for sender in alive:
            assert here.kill(sender) == -9
        here.stop()
        report = verify(here.directory)
        assert report.torn == 0
        return *check(here, notes, collectors), report.recovered
    finally:
        os.close(notes)
        here.close()


def check(here: Machine, notes: int, collectors: int) -> tuple[int, int, int]:
    there: dict[tuple[bytes, int], list[int]] = {}
    order: dict[bytes, int] = {}
    for record in read(here.directory):
        if record.kind == EVENTS:
            index = struct.unpack_from("<Q", record.payload, 16)[0]
            there.setdefault((record.run, index), []).append(record.first)
            assert order.get(record.run, 0) < index, "out of order"
            order[record.run] = index
    tried: set[tuple[bytes, int]] = set()
    kept: dict[tuple[bytes, int], int] = {}
    failed = 0
    os.lseek(notes, 0, os.SEEK_SET)
    while note := os.read(notes, NOTE.size):
        what, index, number, run = NOTE.unpack(note)
        if what == TRIED:
            tried.add((run, index))
        elif what == KEPT:
            kept[run, index] = number
        else:
            failed += 1
    for key, number in kept.items():
        assert there[key] == [number], "an acknowledged record is not there once"
    assert all(len(found) == 1 for found in there.values()), "something is there twice"
    assert set(there) <= tried
    assert failed <= collectors * SENDERS, "an append failed though no collector was killed"
    return len(kept), len(tried) - len(kept), failed


def test_kills_of_collectors_and_senders_lose_nothing_that_was_acknowledged() -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    began = time.monotonic()
    found = [one_ledger(chance, A_LEDGER) for _ in range(KILLS // A_LEDGER)]
    kept, lost, failed, torn = map(sum, zip(*found, strict=True))
    print(
        f"{KILLS} kills, {time.monotonic() - began:.0f} s: {kept} appends acknowledged and there, "
        f"{lost} in flight, {failed} failures told by senders, {torn} torn ends recovered"
    )
    assert kept > KILLS
    assert failed, "no kill hit a sender's append: this proved nothing"
