"""The decoder against a hostile writer: strict, and at a cost like that of the bytes."""

from __future__ import annotations

import struct
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest

from belljar.sandbox.guest.values import Malformed, dumps, loads

PRIME = 2**61 - 1  # sys.hash_info.modulus: ints that differ by it have one hash
RICH = [
    None, 5, 2**40, 2**80, 1.5, 2j, "text", "y" * 300, b"b", b"b" * 300, bytearray(b"c"), (1, 2),
    [1.5] * 9, [7] * 9, {"k": 1, 2: [3]}, {1, "x"}, frozenset({2}), range(3), slice(1),
]  # fmt: skip


def u32(number: int) -> bytes:
    return struct.pack("<I", number)


def refused(data: bytes, match: str = ".") -> None:
    with pytest.raises(Malformed, match=match):
        loads(data, lambda *_: None)


def cpu(work: Any) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def test_every_cut_of_a_value_is_refused() -> None:
    import datetime
    from decimal import Decimal
    from fractions import Fraction
    from pathlib import Path
    from uuid import UUID

    from belljar.sandbox.guest.values import EnumValue, Record

    zone = datetime.timezone(datetime.timedelta(1 / 24), "z")
    for value in (
        RICH, datetime.datetime.now(zone), datetime.date.today(), Decimal("1.5"), Fraction(1, 3),
        Path("/a"), UUID(int=1), Record("R", {"a": 1, "b": 2}), EnumValue("E", "m", 1),
    ):  # fmt: skip
        data = dumps(value)
        for end in range(len(data)):
            refused(data[:end])
        refused(data + b"N")


def test_every_single_byte_may_be_wrong() -> None:
    data = dumps(RICH)
    for at in range(len(data)):
        for wrong in (0, 1, 0x7F, 0x80, 0xFF, data[at] ^ 1):
            try:
                loads(data[:at] + bytes([wrong]) + data[at + 1 :], lambda *_: None)
            except Malformed:
                continue


def test_marks_that_are_none_are_refused() -> None:
    known = b"NTFiIJfcsSbBytULdezqQkK@&wZDHWMVGPrxRE"
    for mark in range(256):
        if mark not in known:
            refused(bytes([mark]) + bytes(64), "mark")


def test_a_reference_where_nobody_resolves_is_refused() -> None:
    with pytest.raises(Malformed):
        loads(b"@\x01" + u32(1))
    with pytest.raises(Malformed):
        loads(b"&\x01" + u32(1) + b"N")


def test_references_and_records_are_no_keys() -> None:
    reference = b"@\x01" + u32(1)
    record = b"R" + u32(0) + b"s\x01R"
    told = b"&\x01" + u32(1) + b"N"
    for key in (
        reference, b"t\x01" + reference, record, b"t\x01" + record, told, b"L" + u32(0),
        b"d" + u32(0), b"e" + u32(0), b"y" + u32(0), b"Es\x00s\x00L" + u32(0),
    ):  # fmt: skip
        refused(b"d" + u32(1) + key + b"N")
        refused(b"e" + u32(1) + key)
        refused(b"z" + u32(1) + key)


def test_a_key_or_a_field_that_occurs_twice_is_refused() -> None:
    refused(b"d" + u32(2) + b"i\x01Ni\x01N", "twice")
    refused(b"e" + u32(2) + b"i\x01T", "twice")
    refused(b"z" + u32(2) + b"i\x01i\x01", "twice")
    refused(b"R" + u32(2) + b"s\x01R" + b"s\x01aNs\x01aN", "twice")
    refused(b"R" + u32(1) + b"s\x01R" + b"s\x03a bN", "name")


def test_what_is_claimed_and_not_there_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        for mark in b"SBytULdezqQkKJR":
            for claim in (0xFFFFFFFF, 0x7FFFFFFF, 64 << 20):
                refused(bytes([mark]) + u32(claim) + b"N" * 100)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_memory_is_in_proportion_to_the_bytes() -> None:
    """Frames of the worst: what little takes much."""
    worst = [
        b"e" + u32(0), b"z" + u32(0), b"d" + u32(0), b"L" + u32(0), b"y" + u32(0), b"t\x01N",
        b"Pps\x01.", b"s\x02ab", b"i\x01", b"e" + u32(1) + b"N", b"M\x01\x001",
    ]  # fmt: skip
    for item in worst:
        count = 3_000
        data = b"L" + u32(count) + item * count
        tracemalloc.start()
        try:
            held: list[object] = []
            with suppress(Malformed):
                held.append(loads(data))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 100 * len(data) + (1 << 20), item


def test_a_value_beyond_the_room_is_refused() -> None:
    data = dumps([None] * 100_000)
    refused_at = 0
    for room in (1 << 20, 2 << 20, 8 << 20):
        try:
            loads(data, None, room)
        except Malformed:
            refused_at = room
    assert refused_at == 2 << 20
    with pytest.raises(Malformed):
        loads(dumps("x" * 100_000), None, 100_000)


def test_deep_nesting_is_refused_and_not_recursed_into() -> None:
    for open_ in (b"L" + u32(1), b"t\x01", b"U" + u32(1), b"d" + u32(1) + b"N", b"z" + u32(1),
                  b"&\x01" + u32(1), b"Es\0s\0", b"R" + u32(1) + b"s\0s\x01a"):  # fmt: skip
        assert loads(open_ * 64 + b"N", lambda *_: 0) is not Ellipsis
        refused(open_ * 65 + b"N")
        refused(open_ * 100_000 + b"N")
    refused((b"L" + u32(1)) * 64 + b"Q" + u32(0))


@pytest.mark.parametrize("count", [65, 3000, 60_000])
def test_keys_with_one_hash_are_counted(count: int) -> None:
    same = [k * PRIME for k in range(count)]
    for value in (dict.fromkeys(range(0)), set()):
        data = dumps(value)[:1] + u32(count)
        data += b"".join(dumps(k) + (b"N" if value == {} else b"") for k in same)
        assert cpu(lambda data=data: refused(data, "same hash")) < 20e-6 * count + 0.1


def test_a_few_keys_with_one_hash_are_borne() -> None:
    for same in (
        [k * PRIME for k in range(64)],
        [(k * PRIME, 2) for k in range(64)],
        [-1, -2],
        [(a, b, c) for a in range(-9, 9) for b in range(-9, 9) for c in range(-9, 9)],
    ):
        assert loads(dumps(dict.fromkeys(same))) == dict.fromkeys(same)
        assert loads(dumps(set(same))) == set(same)


def test_equal_hashes_of_other_kinds_are_counted_too() -> None:
    from decimal import Decimal
    from fractions import Fraction

    kinds: list[Any] = [
        lambda k: float(2**61 * 2**k),  # hash 1, 2, 4 ...: these are few
        lambda k: Decimal(k * PRIME),
        lambda k: Fraction(k * PRIME + 1, 1),
        lambda k: (k * PRIME, "x"),
        lambda k: complex(k, 0) if k < 2 else (k * PRIME,),
        lambda k: frozenset({k * PRIME}),
        lambda k: range(k * PRIME),
    ]
    for make in kinds[1:]:
        data = b"e" + u32(70) + b"".join(dumps(make(k)) for k in range(2, 72))
        refused(data)


def test_sets_of_sets_do_not_multiply_what_equal_hashes_cost() -> None:
    """Comparing two sets of 64 sets of 64 equal hashes takes 4096 comparisons for each level."""

    def level(depth: int, last: int) -> bytes:
        if depth == 0:
            return dumps(last * PRIME)
        return b"z" + u32(40) + b"".join(level(depth - 1, k) for k in range(last, last + 40))

    assert cpu(lambda: refused(level(3, 1))) < 1.0


def orbit(count: int) -> list[int]:
    """Ints that lie, one behind the other, where CPython's dict looks for a place: `5 * i + 1`."""
    size = 8
    while (usable := size * 2 // 3) < count:
        size = 1 << (usable * 3 - 1).bit_length()
    keys, i = [], 0
    for _ in range(count * 3 // 5):
        keys.append(i)
        i = (5 * i + 1) % size
    taken = set(keys)
    extra = size
    while len(keys) < count:
        at, rest, steps = extra % size, extra, 0
        while at in taken and steps < 300:
            rest >>= 5
            at = (at * 5 + rest + 1) % size
            steps += 1
        if steps == 300:
            keys.append(extra)
        extra += 1
        if extra > size * 40:
            break
    return keys


def test_unequal_hashes_that_meet_in_the_table_are_found_by_the_time_they_take() -> None:
    keys = orbit(20_000)
    assert len(set(map(hash, keys))) == len(keys)
    data = b"d" + u32(len(keys)) + b"".join(dumps(k) + b"N" for k in keys)
    plain = dumps(dict.fromkeys(range(10**6, 10**6 + len(keys))))
    honest = min(cpu(lambda: loads(plain)) for _ in range(3))
    naive = cpu(lambda: dict.fromkeys(keys))
    took = cpu(lambda: refused(data, "meet in the table") if naive > 10 * honest else None)
    assert took < 3 * honest + 0.2


def test_honest_large_keys_are_not_taken_for_an_attack() -> None:
    for keys in (
        range(60_000), [float(k) for k in range(30_000)], [(k, -k) for k in range(30_000)],
        [k << 20 for k in range(30_000)], [b"%d" % k for k in range(5_000)],
        [tuple(range(k, k + 300)) for k in range(2500)],
    ):  # fmt: skip
        assert len(loads(dumps(dict.fromkeys(keys)))) == len(keys)
        assert len(loads(dumps(set(keys)))) == len(keys)


def test_gigantic_numbers_cost_their_bytes() -> None:
    huge = b"J" + u32(4 << 20) + b"\x7f" * (4 << 20)
    assert cpu(lambda: loads(b"e" + u32(1) + huge)) < 1.0
    for text in (b"1E+1000001", b"1E-9999999", b"1E+99999999999999999999", b"1E", b"E5", b"", b".",
                 b"1_0", b" 1", b"1 ", b"+1", b"0x1", b"nan", b"Inf", b"1E5.", b"--1", b"\xd9\xa1",
                 b"NaN1E5", b"sNaNx", b"1.2.3", b"1E++5", b"1\x002"):  # fmt: skip
        refused(b"M" + struct.pack("<H", len(text)) + text)
    refused(b"M" + struct.pack("<H", 65_535) + b"1" * 65_535)
    largest = b"M" + struct.pack("<H", 65_000) + b"9" * 65_000
    assert cpu(lambda: loads(b"e" + u32(1) + largest)) < 0.5
    assert cpu(lambda: loads(dumps({__import__("decimal").Decimal("1E+1000000"): 1}))) < 0.1
    part = b"J" + u32(4097) + b"\x7f" * 4097
    refused(b"V" + part + b"i\x01")
    refused(b"Vi\x01" + part)
    refused(b"Vi\x01i\x00")
    refused(b"Vi\x01i\xff")
    largest = b"J" + u32(4096) + b"\x7f" * 4096
    smaller = b"J" + u32(4095) + b"\x6d" * 4095
    assert cpu(lambda: loads(b"V" + largest + smaller)) < 0.1
    refused(b"r" + b"J" + u32(33) + b"\x7f" * 33 + b"i\x01i\x01")
    refused(b"ri\x00i\x00i\x00")
    refused(b"rNi\x00i\x01")


def test_dates_beyond_the_calendar_are_refused() -> None:
    refused(b"D\0\0\1\1")
    refused(b"D\xea\x07\x0d\1")
    refused(b"w" + struct.pack("<iII", 10**9, 0, 0))
    refused(b"w" + struct.pack("<iII", 0, 86400, 0))
    refused(b"H\x18\0\0\0\0\0\0\0N")
    refused(b"H\0\0\0\0\0\0\0\x02N")
    refused(b"Zw" + struct.pack("<iII", 1, 0, 0) + b"N")
    refused(b"H\0\0\0\0\0\0\0\0i\x01")
    refused(b"Pzs\x01a")


def test_a_decimal_that_cannot_be_hashed_is_no_key() -> None:
    data = b"e" + u32(1) + b"M\x04\0sNaN"
    refused(data)
