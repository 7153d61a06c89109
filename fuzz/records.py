"""Random and half-right books before everything that reads a ledger. `fuzz/records.py [ROUNDS]`

Half of the rounds flip, cut, repeat and move bytes of a whole ledger of several books; the other
half write records whose hashes are right and whose fields are anything, as whoever owns the ledger
could. Nothing but `LedgerError` may come out of a reader, and nothing may take long.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import sys
import tempfile
import time

from belljar.errors import LedgerError
from belljar.ledger import DECISIONS, END, EVENTS, START, Writer
from belljar.ledger.books import closed, name
from belljar.ledger.entries import expand
from belljar.ledger.format import encode, file_header, sha256
from belljar.ledger.reader import Reader, read, verify
from belljar.ledger.runs import find, holding, last_decision

FRAME = struct.pack("<HHBBHIIQQ", 0x4A42, 40, 2, 0, 1, 7, 7, 1, 1) + b"\x94\xa4open\x90\xc0"
SLOW = 5.0


def original(directory: str) -> None:
    with Writer(directory, book=1500, clerk=False, sync="never") as writer:
        for number in range(24):
            run = bytes([number]) * 16
            writer.append(
                [(START, 1, b"\x80"), (EVENTS, 3, FRAME * 3), (EVENTS, 200, FRAME * 200),
                 (DECISIONS, 1, b"\x91\x80"), (END, 1, b"\x80")],
                run,
            )  # fmt: skip


def files(directory: str) -> list[str]:
    return [os.path.join(directory, f) for f in (*map(name, closed(directory)), "ledger.blj")]


def mutate(directory: str, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 3)):
        path = chance.choice(files(directory))
        with open(path, "rb") as file:
            data = bytearray(file.read())
        at, to = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        what = chance.randrange(6)
        if what == 0 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif what == 1:
            del data[at:]
        elif what == 2:
            del data[at:to]
        elif what == 3:
            data[at:at] = data[at:to]
        elif what == 4:
            data[at:to] = bytes(to - at)
        else:
            data[at:to] = chance.randbytes(chance.randrange(200))
        with open(path, "wb") as file:
            file.write(data)


def forge(directory: str, chance: random.Random) -> None:
    """One book of records with right hashes."""
    seed = chance.randbytes(32)
    before = chance.choice((None, (bytes(32), chance.choice((2, 9, 1 << 62)), 1)))
    data = file_header(seed, 0, before)
    chain, entry = data[-32:], before[1] if before else 1
    for _ in range(chance.randint(1, 12)):
        payload = chance.choice((b"", FRAME * 3, b"\x80", b"\x91" * 900, chance.randbytes(60)))
        count = chance.choice((0, 1, 1, 3, 1 << 12))
        first = chance.choice((entry, entry, entry, entry ^ 1, 0, (1 << 64) - 1))
        kind, flags = chance.choice((*range(12), 2, 2, 3)), chance.choice((0, 0, 0, 1, 2))
        now = chance.choice((0, 10**18, (1 << 64) - 1))
        fields = kind, flags, bytes(16), first, count, now
        parts, chain = encode(seed, chain, sha256, fields, payload)
        data += b"".join(parts)
        entry = (first + count) % (1 << 64)
    for path in files(directory):
        os.unlink(path)
    path = os.path.join(directory, chance.choice(("ledger.blj", "ledger.blj", name(1), name(9))))
    for where in {path, os.path.join(directory, "ledger.blj")}:
        with open(where, "wb") as file:
            file.write(data)
        os.chmod(where, 0o600)


def everything(directory: str) -> int:
    """Each way of reading; only a `LedgerError` ends one. How many were refused."""

    def last() -> None:
        with Reader(directory) as reader:
            list(reader.records(reader.skip_to_last(30)))

    def entries() -> None:
        for record in read(directory):
            number = sum(1 for _ in expand(record))
            assert number == record.count, record

    ways = (
        lambda: verify(directory), entries, last, lambda: find(directory),
        lambda: find(directory, "01"), lambda: holding(directory, 30),
        lambda: last_decision(directory), lambda: next(read(directory, 700), None),
        lambda: Writer(directory, clerk=False, sync="never", book=1500).close(),
    )  # fmt: skip
    refused = 0
    for way in ways:
        start = time.monotonic()
        try:
            way()
        except LedgerError:
            refused += 1
        assert time.monotonic() - start < SLOW
    return refused


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().getrandbits(32)
    with tempfile.TemporaryDirectory() as folder:
        whole = os.path.join(folder, "whole")
        original(whole)
        refused = 0
        for number in range(rounds):
            chance = random.Random(f"{seed}.{number}")  # noqa: S311 - repeatable
            copy = os.path.join(folder, "copy")
            shutil.copytree(whole, copy)
            try:
                (mutate if number % 2 else forge)(copy, chance)
                refused += everything(copy)
            except BaseException:
                print(f"records: seed {seed}, round {number}")
                raise
            shutil.rmtree(copy)
    print(f"records: {rounds} rounds, {refused} refusals, seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
