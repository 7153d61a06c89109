"""What hostile values cost the host for each byte of theirs: `python bench/hostile.py [KIB]`.

Each value is made to be dear: keys with equal hashes, keys that meet in the table, nesting, huge
numbers, decimals, paths. Beside it, the processor time and the memory of reading it, in nanoseconds
and bytes for each byte, and how often that is what honest data takes. The best of three; `refused`
ones cost what it took to find that out.
"""

from __future__ import annotations

import struct
import sys
import time
import tracemalloc

from belljar.sandbox.guest.values import Malformed, dumps, loads

PRIME = 2**61 - 1
SIZE = int(sys.argv[1] if __name__ == "__main__" and sys.argv[1:] else 256) << 10  # of each
u32 = struct.Struct("<I").pack


def keys(many: list[bytes]) -> bytes:
    return b"d" + u32(len(many)) + b"".join(key + b"N" for key in many)


def integer(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"J" + u32(len(data)) + data


def filled(one: bytes) -> bytes:
    """A list of as many as there is room for."""
    n = SIZE // len(one)
    return b"L" + u32(n) + one * n


def text(value: bytes) -> bytes:
    return b"S" + u32(len(value)) + value


def meeting(n: int) -> list[bytes]:
    """Whole numbers whose places in the table of their dict are one (they differ above it)."""
    bits = max(n.bit_length() + 1, 8)
    return [b"I" + struct.pack("<q", k << min(bits + 10, 40)) for k in range(n)]


def nested(depth: int) -> bytes:
    return b"t\1" * depth + b"N"


def decimals() -> list[bytes]:
    found = []
    for k in range(SIZE // 5000):
        digits = b"%05d" % k + b"7" * 4990
        found.append(b"M" + struct.pack("<H", len(digits)) + digits)
    return found


def exponents() -> list[bytes]:
    found = []
    for k in range(SIZE // 16):
        one = b"1E+%d" % (900_000 + k)
        found.append(b"M" + struct.pack("<H", len(one)) + one)
    return found


def fractions() -> list[bytes]:
    a, b = 3**80, 2**127 - 1
    return [b"V" + integer(a + 2 * k) + integer(b) for k in range(SIZE // 45)]


HONEST = {
    "honest: small numbers": lambda: dumps([n % 100 for n in range(SIZE // 2)]),
    "honest: texts": lambda: dumps([f"name {n}" for n in range(SIZE // 12)]),
    "honest: a dict of texts": lambda: dumps({f"name {n}": n for n in range(SIZE // 15)}),
}
DEAR = {
    "keys of one hash (-1 mod 2**61 - 1)": lambda: keys(
        [integer(k * PRIME + 7) for k in range(SIZE // 16)]
    ),
    "64 keys of one hash, again and again": lambda: filled(
        keys([integer(k * PRIME + 7) for k in range(64)])
    ),
    "keys that meet in the table": lambda: keys(meeting(SIZE // 10)),
    "frozen sets of numbers that meet": lambda: filled(
        b"z" + u32(2000) + b"".join(meeting(2000))
    ),
    "sets of sets": lambda: filled(b"e" + u32(60) + b"".join(
        b"z" + u32(2) + b"i" + bytes([k]) + integer(PRIME * k + 1) for k in range(60))),
    "numbers of one byte each, huge": lambda: b"J" + u32(SIZE) + b"\x7f" * SIZE,
    "a huge number as a key": lambda: keys([b"J" + u32(SIZE) + b"\x7f" * SIZE]),
    "many large numbers as keys": lambda: keys(
        [integer((1 << 8000) + k) for k in range(SIZE // 1006)]
    ),
    "nesting as deep as may be": lambda: filled(nested(60)),
    "empty lists": lambda: filled(b"L" + u32(0)),
    "empty dicts": lambda: filled(b"d" + u32(0)),
    "empty sets": lambda: filled(b"e" + u32(0)),
    "decimals of 5,000 digits as keys": lambda: keys(decimals()),
    "decimals with exponents as keys": lambda: keys(exponents()),
    "fractions as keys": lambda: keys(fractions()),
    "dates in zones": lambda: filled(
        dumps(__import__("datetime").datetime(
            2026, 1, 1, tzinfo=__import__("datetime").timezone.utc))),
    "a path of many parts": lambda: b"P" + dumps(
        __import__("pathlib").PurePosixPath("a"))[1:2] + text(
            b"/".join(b"%x" % k for k in range(SIZE // 6))),
    "a path of many parts as a key": lambda: keys([b"P" + dumps(
        __import__("pathlib").PureWindowsPath("a"))[1:2] + text(
            b"/".join(b"%x" % k for k in range(SIZE // 6)))]),
    "short paths": lambda: filled(dumps(__import__("pathlib").PurePosixPath("a"))),
    "identifiers": lambda: filled(dumps(__import__("uuid").UUID(int=1))),
    "ranges as keys": lambda: keys([dumps(range(k)) for k in range(SIZE // 12)]),
    "text of which each character takes four": lambda: text("\U00010000".encode() + b"a" * SIZE),
    "records without fields": lambda: filled(b"R" + u32(0) + b"s\0"),
}  # fmt: skip


def cost(data: bytes) -> tuple[float, str]:
    """Nanoseconds for each byte, and how it ended."""
    times, how = [], "a value"
    for _ in range(3):
        begun = time.thread_time()
        try:
            value = loads(data)
        except Malformed as error:
            value, how = None, f"refused: {error}"
        times.append(time.thread_time() - begun)
        del value
    return min(times) / len(data) * 1e9, how


def memory(data: bytes) -> float:
    """Bytes that reading it takes at most, for each of its own."""
    tracemalloc.start()
    try:
        held = loads(data)
    except Malformed:
        held = None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del held
    return peak / len(data)


def main() -> None:
    print(f"{'':44}{'bytes':>9}{'ns/byte':>9}{'times':>7}{'memory/byte':>13}")
    most = 0.0
    for name, make in {**HONEST, **DEAR}.items():
        data = make()
        each, how = cost(data)
        if name in HONEST:
            most = max(most, each)
        print(
            f"{name:44}{len(data):>9,}{each:>9.1f}{each / most:>7.1f}{memory(data):>13.1f}   {how}"
        )


if __name__ == "__main__":
    main()
