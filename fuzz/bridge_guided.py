"""`fuzz/bridge.py` led by coverage: `python fuzz/bridge_guided.py [CORPUS] [-max_total_time=60]`.

Needs atheris (libFuzzer for Python), which instruments the decoder, the peer and what they use.
The first byte says what the others are: a value, the stream of a guest as it is, or the frames of
one that keeps to the protocol, of which only operations and bodies are made up. What must not
happen is as in `fuzz/bridge.py`: an exception that is not documented, or more time than the bytes
are worth.
"""

from __future__ import annotations

import random
import struct
import sys

import atheris

with atheris.instrument_imports(include=["belljar.sandbox"]):
    import bridge

    from belljar.sandbox.guest import ops

SENT = (ops.REPLY, ops.RAISED, ops.REQUEST, ops.NOTE)


def kept_to(data: bytes) -> bytes:
    """Frames in the right order with the right numbers: kind, operation and length are three
    bytes, then so many of the body."""
    made = bytearray()
    asked = answered = at = 0
    while at + 3 <= len(data) and len(made) < 150_000:
        kind, op, length = SENT[data[at] % 4], data[at + 1], data[at + 2]
        body = data[at + 3 : at + 3 + length]
        at += 3 + length
        number = parent = 0
        if kind in (ops.REPLY, ops.RAISED):
            answered += 1
            number = answered
        else:
            known = sorted(ops.FROM_GUEST if kind == ops.REQUEST else ops.NOTES_FROM_GUEST)
            body = bytes([known[op % len(known)]]) + body
            if kind == ops.REQUEST:
                asked += 1
                number, parent = asked, answered + 1 if op & 128 else 0
        made += struct.pack("<IBII", len(body), kind, number, parent) + body
    return bytes(made)


def one(data: bytes) -> None:
    if not data:
        return
    what, rest = data[0], data[1:]
    chance = random.Random(what)  # noqa: S311
    if what % 4 < 2:
        bridge.decoded(rest, what % 4 == 0)
    else:
        bridge.conversation(chance, rest[:150_000] if what % 4 == 2 else kept_to(rest))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
