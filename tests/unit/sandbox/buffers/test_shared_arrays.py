"""Large values cross by shared memory, both ways, and mean the same on the other side."""

from __future__ import annotations

import os
import sys
import weakref
from typing import Any

import numpy as np
import pytest
from joined import Joined

from belljar.errors import BelljarError
from belljar.sandbox.live import arrays
from belljar.sandbox.live.buffers import NoRoom

BIG = 100_000  # items: above the threshold with 8 bytes each

ARRAYS = {
    "floats": np.arange(BIG, dtype="f8"),
    "columns first": np.asfortranarray(np.arange(BIG, dtype="f4").reshape(100, -1)),
    "other byte order": np.arange(BIG, dtype=">i4"),
    "bools": np.arange(BIG * 4) % 3 == 0,
    "complex": np.arange(BIG).astype("c16") * 1j,
    "long": np.arange(BIG, dtype="f16"),
    "half": np.arange(BIG * 2, dtype="f2"),
    "bytes": np.array([b"ab", b"cde"] * BIG),
    "text": np.array(["ab", "cä\U0010ffff"] * BIG),
    "times": np.arange(BIG).astype("M8[ms]"),
    "spans": np.arange(BIG).astype("m8[25s]"),
    "every second": np.arange(2 * BIG, dtype="f8")[::2],
    "backwards": np.arange(BIG, dtype="f8")[::-1],
    "repeated": np.broadcast_to(np.arange(300.0), (300, 300)),
    "axes exchanged": np.arange(BIG, dtype="f8").reshape(10, 100, 100).transpose(1, 0, 2),
    "small": np.arange(12.0).reshape(3, 4),
    "small, columns first": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "one number": np.array(7.5),
    "none": np.zeros((0, 3)),
    "none, of times": np.zeros((3, 0), "M8[s]"),
}


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert (a == b).all()


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_crosses_to_the_guest_and_back(name: str, both: Joined) -> None:
    there = both.to_guest(ARRAYS[name])
    same(there, ARRAYS[name])
    same(both.to_host(there), ARRAYS[name])


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_the_guest_made_crosses(name: str, both: Joined) -> None:
    same(both.to_host(ARRAYS[name]), ARRAYS[name])
    assert both.host.used == 0


@pytest.mark.parametrize(
    "value", [b"a" * 3_000_000, bytearray(b"b" * 3_000_000)], ids=lambda v: type(v).__name__
)
def test_bytes_stay_bytes_and_occupy_nothing_afterwards(value: Any, both: Joined) -> None:
    there = both.to_guest(value)
    assert type(there) is type(value)
    assert there == value
    back = both.to_host(value)
    assert type(back) is type(value)
    assert back == value
    both.host.drop(both.sent_and_dropped())
    assert both.host.used == 0


@pytest.mark.parametrize("value", [np.float64(1.5), np.int8(-3), np.bool_(True), np.str_("ä")])
def test_numbers_of_numpy_stay_what_they_are(value: Any, both: Joined) -> None:
    for got in (both.to_guest(value), both.to_host(value)):
        assert type(got) is type(value)
        assert got == value


def test_the_guest_may_write_to_what_was_passed_by_value_and_the_host_sees_nothing(
    both: Joined,
) -> None:
    mine = np.zeros(BIG)
    there = both.to_guest(mine)
    there[:] = 5
    assert not mine.any()
    assert (both.to_host(there) == 5).all()


def test_a_shared_array_is_not_copied_and_the_guest_can_only_read_it(both: Joined) -> None:
    mine = arrays.array((BIG,), "f8")
    there = both.to_guest(mine)
    mine[3] = 7
    assert there[3] == 7  # the same memory
    with pytest.raises(ValueError, match="read-only"):
        there[3] = 8
    assert both.host.used == 0  # it is not the guest's


def test_what_the_guest_returns_of_a_shared_array_is_that_memory(both: Joined) -> None:
    mine = arrays.array((10, 20_000), "f4")
    there = both.to_guest(mine)
    back = both.to_host(there[2:4])
    assert np.shares_memory(back, mine)
    back[0, 0] = 9
    assert mine[2, 0] == 9


def test_of_a_part_of_a_shared_array_the_guest_gets_only_the_part(both: Joined) -> None:
    mine = arrays.array((2, BIG), "f8")
    mine[1] = 13.0  # a secret
    there = both.to_guest(mine[0])
    assert len(there.base) == BIG * 8
    assert not np.shares_memory(there, mine)


def test_an_array_of_the_guests_is_taken_over_without_a_copy(both: Joined) -> None:
    made = [both.guest.array((BIG,), "f8")]
    made[0][:] = 3
    number, entry = both.reference(made)
    inode = os.fstat(both.host._given[number][0]).st_ino
    got = both.believe(number, entry)
    assert (got == 3).all()
    with open("/proc/self/maps", encoding="utf-8") as maps:
        assert f" {inode} " in maps.read()  # it is that memory
    assert both.host.used == 0
    got[0] = 1  # and it is the host's to write to


def test_an_array_that_the_guest_keeps_is_copied(both: Joined) -> None:
    kept = both.guest.array((BIG,), "f8")
    kept[:] = 3
    got = both.to_host(kept)
    kept[:] = 4
    assert (got == 3).all()
    assert both.host.used == BIG * 8
    del kept
    both.host.drop(both.sent_and_dropped())
    assert both.host.used == 0


def test_two_views_of_one_memory_cross_in_one_message(both: Joined) -> None:
    made = both.guest.array((BIG,), "f8")
    made[:] = range(BIG)
    refs = [both.reference(made[:10]), both.reference(made[5:])]
    del made
    both.host.drop(both.sent_and_dropped())
    head, tail = (both.believe(*ref) for ref in refs)
    assert list(head) == list(range(10))
    assert tail[0] == 5
    assert both.host.used == 0


def test_the_same_array_twice_in_a_message_is_sent_once(both: Joined) -> None:
    from belljar.sandbox.live.buffers import Outgoing

    value = np.zeros(BIG)
    out = Outgoing(both.host)
    assert out.refer(value) == out.refer(value)
    assert len(out.fds) == 1
    out.done(sent=False)
    assert both.host.used == 0


def test_memory_that_the_guest_dropped_is_given_back_though_it_is_mapped(both: Joined) -> None:
    number, fd = both.host.allot(1 << 20)
    os.pwrite(fd, b"x" * (1 << 20), 0)
    both.host.drop([number])
    assert both.host.used == 0
    assert os.fstat(fd).st_size == 0
    assert os.fstat(fd).st_blocks == 0
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 1 << 20)  # nor can it be had again
    os.close(fd)


def test_arrays_are_freed_with_their_last_reference(both: Joined) -> None:
    mine = arrays.array((BIG,), "f8")
    where = arrays.memory_of(mine)
    assert where is not None
    gone = weakref.ref(where[0])
    there = both.to_guest(mine)
    del mine, where
    assert gone() is not None  # the guest may return it
    del there
    both.host.drop(both.sent_and_dropped())
    assert gone() is None


def test_a_guest_that_drops_nothing_does_not_keep_the_hosts_arrays_alive_for_ever(
    both: Joined,
) -> None:
    seen = []
    for _ in range(300):
        made = arrays.array((BIG,), "f8")
        where = arrays.memory_of(made)
        assert where is not None
        both.host.lend(where[0])
        seen.append(weakref.ref(where[0]))
        del made, where
    assert sum(one() is not None for one in seen) <= 64


def test_too_much_for_the_guest_is_said_before_anything_is_sent(both: Joined) -> None:
    with pytest.raises(BelljarError, match="too large for the guest"):
        both.to_guest(np.zeros(9 << 20))
    with pytest.raises(NoRoom, match="no room"):
        both.guest.array((9 << 20,), "f8")
    assert both.host.used == 0


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (np.array([object()]), "Python objects"),
        (np.zeros(3, "i4,f8"), "structured"),
        (np.zeros(3, "V8"), "only numbers"),
        (np.ma.masked_array([1, 2]), "only plain arrays"),
    ],
    ids=["objects", "fields", "raw", "masked"],
)
def test_what_cannot_cross_is_named(value: Any, why: str, both: Joined) -> None:
    with pytest.raises(BelljarError, match=why):
        both.to_guest(value)


def test_shared_arrays_of_objects_are_refused() -> None:
    with pytest.raises(BelljarError, match="Python objects"):
        arrays.array(3, object)
    with pytest.raises(BelljarError, match="too large"):
        arrays.array((1 << 40, 1 << 40))


def test_shared_arrays_are_zeros_of_every_plain_kind() -> None:
    for dtype in ("?", "i8", ">u2", "c8", "S3", "U4", "M8[D]"):
        made = arrays.array((2, 3), dtype, "F")
        assert made.dtype == np.dtype(dtype)
        assert made.flags.f_contiguous
        assert not any(made.tobytes())
    assert arrays.array((0, 3)).shape == (0, 3)
    assert arrays.array(5).shape == (5,)


def test_without_numpy_inside_an_array_is_a_memoryview(
    both: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {name: ARRAYS[name] for name in ("floats", "bools", "small", "text", "one number")}
    packed = {}
    for name, value in values.items():
        from belljar.sandbox.live.buffers import Outgoing

        out = Outgoing(both.host)
        packed[name] = out.refer(value)
        both.sent.update((n, os.dup(fd)) for n, fd in out.fds)
        out.done()
    monkeypatch.setitem(sys.modules, "numpy", None)
    got = {name: both.guest.resolve(*both.placed(reference)) for name, reference in packed.items()}
    assert got["floats"].tolist() == values["floats"].tolist()
    assert got["bools"].tolist() == values["bools"].tolist()
    assert got["small"].tolist() == values["small"].tolist()
    assert got["small"].shape == (3, 4)
    assert bytes(got["text"]) == values["text"].tobytes()
    assert got["one number"][0] == 7.5
