"""The collector's connections against hostile bytes: `python fuzz/wire.py [ROUNDS [SEED]]`.

Takes the messages in `fuzz/corpus/wire`, mixes and spoils them, and feeds them to a `Connection`
through a real socket in pieces of any size, as a collector does. Whatever comes, it must refuse it
(`Malformed`) or give messages within all bounds, and hold no more than one that is not whole.
"""

from __future__ import annotations

import os
import random
import socket
import sys
from pathlib import Path

from belljar.ledger.collect.begun import Begun
from belljar.ledger.collect.connection import SMALL, Connection
from belljar.ledger.collect.identity import of
from belljar.ledger.collect.shares import Pool, Shares
from belljar.ledger.collect.wire import MOST_ITEMS, SENDABLE, Malformed
from belljar.ledger.format import DECISIONS, DEFLATED, EVENTS, MAX_PAYLOAD

CORPUS = Path(__file__).parent / "corpus" / "wire"


def spoiled(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Some messages, one after the other, with a few bytes changed, gone, doubled or cut."""
    data = bytearray(b"".join(chance.choices(seeds, k=chance.randint(1, 3))))
    for _ in range(chance.choice((0, 1, 1, 2, 8))):
        at = chance.randrange(min(len(data), 120))
        what = chance.randrange(5)
        if what == 0:
            data[at] = chance.randrange(256)
        elif what == 1:
            data[at] ^= 1 << chance.randrange(8)
        elif what == 2:
            size = chance.choice((2, 4, 8))
            data[at : at + size] = chance.choice((0, 1, 0x7F, 0xFF)).to_bytes(1, "little") * size
        elif what == 3:
            del data[at : at + chance.randint(1, 40)]
        else:
            data[at:at] = data[at : at + chance.randint(1, 60)]
        if not data:
            return b"\0"
    return bytes(data[:150_000])


def feed(chance: random.Random, data: bytes, scratch: memoryview) -> tuple[int, bool]:
    """How many messages were taken, and whether it ended in `Malformed`."""
    here, there = socket.socketpair()
    pool = Pool(64 << 20)
    begun = Begun("/nonexistent/ledger")
    taken = 0
    with here, there:
        connection = Connection(here, 1, of(here), Shares(1 << 30, 0.0))
        try:
            while data:
                size = chance.choice((1, 7, 19, 20, 21, 500, 1 << 17))
                there.setblocking(False)
                data = data[there.send(data[:size]) :]
                connection.receive(scratch)
                while (message := connection.take(pool, begun.__contains__)) is not None:
                    assert 0 < len(message.items) <= MOST_ITEMS
                    for kind, count, flags, payload in message.items:
                        assert kind in SENDABLE
                        assert flags == 0 or (kind, flags) == (EVENTS, DEFLATED)
                        assert len(payload) <= MAX_PAYLOAD
                        assert 0 < count <= (MAX_PAYLOAD // 32 if flags else len(payload))
                        assert count == 1 or kind in (EVENTS, DECISIONS)
                    if message.begins:
                        begun.add(message.run)
                    connection.recorded(message, pool)
                    taken += 1
                if len(connection._rest) > 2 * SMALL:
                    raise AssertionError("it keeps more than one message")
        except Malformed:
            connection.release(pool)
            return taken, True
        connection.release(pool)
        assert pool.free == pool.most
        return taken, False


def main(rounds: int = 20_000, seed: int = 0) -> None:
    seed = seed or int.from_bytes(os.urandom(4), "little")
    chance = random.Random(seed)  # noqa: S311
    seeds = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    scratch = memoryview(bytearray(SMALL))
    refused = taken = 0
    for number in range(rounds):
        data = spoiled(chance, seeds)
        try:
            messages, malformed = feed(chance, data, scratch)
        except BaseException:
            print(f"fuzz: seed {seed}, round {number}: {data[:400].hex()}", file=sys.stderr)
            raise
        taken += messages
        refused += malformed
    print(f"wire: {rounds} rounds (seed {seed}), {taken} messages taken, {refused} refused")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
