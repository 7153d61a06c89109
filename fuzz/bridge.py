"""The bridge's host side against hostile bytes: `python fuzz/bridge.py [MINUTES [SEED]]`.

Half of the rounds give the decoder values whose bytes are spoiled, or made up mark by mark; the
other half give a whole `Peer` the frames of a guest that lies: answers, requests and notes, right
and wrong, in any order and in pieces, while the host asks and serves. Out of the decoder comes a
value or `Malformed`, out of the peer what is documented, and neither takes longer than its bytes.
"""

from __future__ import annotations

import datetime
import os
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from uuid import UUID

from belljar.errors import GuestEnded, GuestError, GuestProtocolError
from belljar.sandbox.bridge.peer import Peer, RaisedForGuest
from belljar.sandbox.bridge.wire import BridgeLimits
from belljar.sandbox.guest import ops
from belljar.sandbox.guest.values import EnumValue, Malformed, Record, dumps, loads

MARKS = b"NTFiIJfcsSbBytULdezqQkK@&wZDHWMVGPrxRE"
SLOW = 0.5, 40e-6  # seconds of this thread for a value, and for each of its bytes
PRIME = 2**61 - 1
ZONE = datetime.timezone(datetime.timedelta(hours=1), "z")
LEAVES = (
    None, True, False, 0, -1, 200, 2**40, 2**70, -(2**200), 1.5, float("nan"), 2j, "", "a",
    "é" * 200, b"", b"x" * 300, bytearray(b"y"), PRIME, 2 * PRIME, -2, datetime.date(1, 1, 1),
    datetime.datetime(2026, 1, 1, tzinfo=ZONE), datetime.time(1, tzinfo=ZONE), ZONE,
    datetime.timedelta(1), Decimal("1E+1000000"), Decimal("NaN"), Decimal("-0.1"), Fraction(1, 3),
    UUID(int=7), PurePosixPath("/a/b"), range(3), slice(1, None), EnumValue("E", "m", 1),
)  # fmt: skip


def value(chance: random.Random, depth: int = 0) -> object:
    what = chance.randrange(10 if depth < 4 else 5)
    if what < 5:
        return chance.choice(LEAVES)
    items = [value(chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 3, 9)))]
    if what == 5:
        return items
    if what == 6:
        return tuple(items)
    if what == 7:
        return Record("R", {f"f{n}": item for n, item in enumerate(items)})
    try:
        return dict.fromkeys(items, 1) if what == 8 else set(items)
    except TypeError:
        return items


def encoded(chance: random.Random) -> bytes:
    try:
        return dumps(value(chance))
    except TypeError:  # a key that may not be one
        return b"N"


def made_up(chance: random.Random) -> bytes:
    """Marks, counts and leaves without a plan."""
    data = bytearray()
    for _ in range(chance.choice((1, 3, 20, 300))):
        data.append(chance.choice(MARKS))
        if chance.random() < 0.5:
            count = chance.choice((0, 0, 1, 1, 2, 3, 8, 65, 255, 70_000, 2**31, 2**32 - 1))
            data += struct.pack("<I", count)[: chance.choice((1, 4, 4, 4))]
        if chance.random() < 0.2:
            data += dumps(chance.choice(LEAVES))
    return bytes(data)


def spoiled(chance: random.Random, data: bytes, most: int = 8) -> bytes:
    spoilt = bytearray(data)
    for _ in range(chance.choice((0, 1, 1, 2, most))):
        if not spoilt:
            break
        at = chance.randrange(len(spoilt))
        what = chance.randrange(6)
        if what == 0:
            spoilt[at] = chance.randrange(256)
        elif what == 1:
            spoilt[at] ^= 1 << chance.randrange(8)
        elif what == 2:
            spoilt[at : at + 4] = chance.choice((0, 1, 0x7F, 0xFF)).to_bytes(1, "little") * 4
        elif what == 3:
            del spoilt[at : at + chance.randint(1, 30)]
        elif what == 4:
            spoilt[at:at] = spoilt[at : at + chance.randint(1, 60)]
        else:
            spoilt[at] = chance.choice(MARKS)
    return bytes(spoilt)


def decode(chance: random.Random) -> bool:
    """Whether it was a value."""
    data = spoiled(chance, encoded(chance)) if chance.random() < 0.6 else made_up(chance)
    return decoded(data, chance.random() < 0.5)


def decoded(data: bytes, references: bool) -> bool:
    """Whether these bytes are a value. Raises whatever must not happen."""

    def resolve(kind: int, number: int, about: object = None) -> object:
        if kind > 3:
            raise LookupError(kind)
        return number

    begun = time.thread_time()
    try:
        found = loads(data, resolve if references else None)
    except Malformed:
        found = Malformed
    took = time.thread_time() - begun
    if took > SLOW[0] + SLOW[1] * len(data):
        raise AssertionError(f"{took:.2f} s for {len(data)} bytes: {data[:200].hex()}")
    if found is Malformed:
        return False
    again = dumps(found)
    assert dumps(loads(again)) == again or b"e" in again or b"z" in again  # sets have no order
    return True


def frames(chance: random.Random) -> Iterator[bytes]:
    """What a guest sends, that knows the protocol and keeps to it now and then."""
    mine = answered = 0
    careful = chance.random() < 0.5
    for _ in range(chance.choice((1, 2, 5, 20))):
        if careful and chance.random() < 0.97:
            what = chance.choice((ops.REPLY, ops.RAISED, ops.REQUEST, ops.REQUEST, ops.NOTE))
            if what in (ops.REPLY, ops.RAISED):
                answered += 1
                body = encoded(chance) if what == ops.REPLY else dumps(("E", "m", "t"))
                yield struct.pack("<IBII", len(body), what, answered, 0) + body
                continue
            mine += what == ops.REQUEST
            numbers = mine % 2**32 if what == ops.REQUEST else 0, 0
            if what == ops.REQUEST and chance.random() < 0.3:
                numbers = mine % 2**32, answered + 1
            known = ops.FROM_GUEST if what == ops.REQUEST else ops.NOTES_FROM_GUEST
            body = bytes([chance.choice([*known])]) + encoded(chance)
            yield struct.pack("<IBII", len(body), what, *numbers) + body
            continue
        kind = chance.choice((1, 1, 2, 2, 2, 3, 4, 4, 5))
        number = chance.choice((1, 1, 2, 2, 3, 4, 5, 0, 2**32 - 1))
        parent = 0
        body = encoded(chance)
        if kind == ops.REQUEST:
            mine += chance.choice((1, 1, 1, 1, 0, 2, 2**31))
            number, parent = mine % 2**32, chance.choice((0, 0, 1, 1, 2, 3))
            body = bytes([chance.choice([*ops.FROM_GUEST, *ops.FROM_GUEST, 0, 1, 66, 255])]) + body
        elif kind == ops.NOTE:
            number = chance.choice((0, 0, 0, 0, 0, 1))
            body = bytes([chance.choice([*ops.NOTES_FROM_GUEST] * 5 + [1, 64])]) + body
        elif kind == ops.RAISED and chance.random() < 0.8:
            body = dumps(("E", "m", "t"))
        length = (
            len(body) if chance.random() < 0.98 else chance.choice((0, 1, 2**26 + 1, 2**32 - 1))
        )
        one = struct.pack("<IBII", length, kind, number, parent) + body
        yield one if chance.random() < 0.95 else spoiled(chance, one, 3)


def whole_peer(chance: random.Random) -> str:
    """How the conversation ended."""
    return conversation(chance, b"".join(frames(chance))[:150_000])


def conversation(chance: random.Random, data: bytes) -> str:
    """How it ended with a guest that sends these bytes, while the host asks and serves."""
    deep = 0

    def serve(op: str, body: object, request: object) -> object:
        nonlocal deep
        if op in ops.GUEST_NOTES:
            return None
        deep += 1
        try:
            what = chance.randrange(6)
            if what < 2 and deep < 60:
                return peer.request("call", body)
            if what == 2:
                raise RaisedForGuest("ValueError", "x")
            return object() if what == 3 else body
        finally:
            deep -= 1

    def resolve(kind: int, number: int, about: object = None) -> object:
        raise LookupError(kind)

    here, there = socket.socketpair()
    with here, there:
        limits = BridgeLimits(frame=1 << 26, outstanding=8, notes=10)
        peer = Peer(here, serve, limits, None, resolve)
        there.sendall(data)
        there.shutdown(socket.SHUT_WR)
        asked = 0
        begun = time.thread_time()
        try:
            while asked < 10:
                asked += 1
                try:
                    if chance.random() < 0.2:
                        peer.serve_waiting(time.monotonic() + 30)
                    peer.request("run", ("x", 1), time.monotonic() + 30)
                except (GuestError, TypeError) as error:  # a record within a key goes not back
                    if peer.over is not None:
                        raise AssertionError("an error that ended it is not said to") from error
        except (GuestEnded, GuestProtocolError) as error:
            assert peer.over is not None
            assert not peer.busy
            took = time.thread_time() - begun
            if took > SLOW[0] + SLOW[1] * len(data):
                raise AssertionError(f"{took:.2f} s for {len(data)} bytes") from None
            return type(error).__name__
        return "answered"


def main(minutes: float = 0.2, seed: int = 0) -> None:
    seed = seed or int.from_bytes(os.urandom(4), "little")
    finish = time.monotonic() + minutes * 60
    values = malformed = 0
    ends: dict[str, int] = {}
    number = 0
    while time.monotonic() < finish:
        number += 1
        chance = random.Random(seed * 1_000_003 + number)  # noqa: S311
        try:
            if number % 2:
                good = decode(chance)
                values += good
                malformed += not good
            else:
                end = whole_peer(chance)
                ends[end] = ends.get(end, 0) + 1
        except BaseException:
            print(f"fuzz: seed {seed}, round {number}", file=sys.stderr)
            raise
    print(
        f"bridge: {number} rounds (seed {seed}), {values} values, {malformed} malformed, "
        + ", ".join(f"{count} {name}" for name, count in sorted(ends.items()))
    )


if __name__ == "__main__":
    main(*(float(a) if n == 0 else int(a) for n, a in enumerate(sys.argv[1:])))  # type: ignore[arg-type]
