"""Shared memory takes large pages where it can; where it cannot, it is the same memory."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys
from typing import Any

import numpy as np
import pytest
from joined import ROOM, Joined

from belljar.sandbox.guest import pages
from belljar.sandbox.live import arrays, memory

SIZES = [pages.LARGE_PAGES_FROM + more for more in (-1, 0, 1, 5_000_001)]


def pattern(size: int) -> Any:
    return (np.arange(size, dtype="u4") % 251).astype("u1")


def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "enlarge", lambda *args: False)


def crooked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_address", lambda numpy, made: 4096)


def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("belljar.sandbox.live.buffers.with_slack", lambda size: size)
    monkeypatch.setattr("belljar.sandbox.live.arrays.with_slack", lambda size: size)


def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pass


@pytest.mark.parametrize("kernel", [asked, refused, crooked, nowhere], ids=lambda k: k.__name__)
@pytest.mark.parametrize("size", SIZES)
def test_every_byte_arrives_whatever_the_kernel_gives(
    size: int, kernel: Any, both: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel(monkeypatch)
    value = pattern(size)
    there = both.to_guest(value)
    assert (there == value).all()
    there[-1] ^= 1
    kept = there.copy()
    assert (both.to_host(there) == kept).all()  # it is still held: a copy
    del there
    assert (both.to_host(value) == value).all()
    assert both.to_host(value.tobytes()) == value.tobytes()
    born = [both.guest.array((size,), "u1")]
    assert not born[0].any()
    born[0][:] = value
    back = both.to_host(born)
    assert (back == value).all()
    back[0] = 9
    mine = arrays.array((size,), "u1")
    assert not mine.any()
    mine[:] = value
    assert (both.to_guest(mine) == value).all()
    assert both.host.used == 0


def faults(work: Any) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def given_here(size: int) -> bool:
    """Whether this kernel makes `size` bytes of shared memory of large pages now, asked by hand: a
    machine whose free memory lies in pieces has some, and not so many."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    room = mmap.mmap(-1, size + pages.LARGE_PAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(room))
    start = -(-first // pages.LARGE_PAGE) * pages.LARGE_PAGE
    fd = memory.create(size, 0)
    try:
        at = libc.mmap(ctypes.c_void_p(start), ctypes.c_size_t(size), 3, 0x11, fd, ctypes.c_long(0))
        assert at == start  # within `room`, which unmaps it with its own
        ctypes.memset(at, 0, size)
        return bool(libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(size), 25) == 0)
    finally:
        os.close(fd)


def test_writing_to_an_array_of_large_pages_faults_hardly_ever() -> None:
    size = 32 << 20
    small = mmap.mmap(-1, size)
    small.madvise(mmap.MADV_NOHUGEPAGE)
    assert faults(lambda: small.write(bytes(size))) > 8000
    small.close()
    given = given_here(size)
    mine = arrays.array((size,), "u1")
    found = faults(lambda: mine.fill(7))
    assert mine.min() == 7
    if given and given_here(size):
        assert found < 1000


def test_what_is_made_besides_is_charged(both: Joined) -> None:
    number, fd = both.host.allot(10_000_000)
    assert both.host.used == os.fstat(fd).st_size > 10_000_000
    os.close(fd)
    both.host.drop([number])
    assert both.host.used == 0


def test_the_last_of_a_guests_room_can_be_had_without(both: Joined) -> None:
    number, fd = both.host.allot(ROOM)
    assert os.fstat(fd).st_size == ROOM == both.host.used
    os.close(fd)
    both.host.drop([number])
    made = [both.guest.array((ROOM,), "u1")]
    made[0][-1] = 3
    assert both.to_host(made)[-1] == 3


def test_a_copy_may_be_larger_than_a_file_may() -> None:
    # in a child: the limit would be this process's
    value = bytes(range(256)) * 4096
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 22, 1 << 22))
            fd = memory.create(1 << 20, 0)
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
            pages.fill_new(fd, memoryview(value))
            status = os.pread(fd, 1 << 20, 0) != value
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_without_numpy_nothing_is_large_and_all_is_there(
    both: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = pattern(9_000_000).tobytes()
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert both.to_host(value) == value
    assert both.to_guest(value) == value


def test_nobody_reaches_what_is_made_besides(both: Joined) -> None:
    from belljar.errors import GuestProtocolError

    for length in (10_000_000, 10_000_001):
        number, fd = both.host.allot(10_000_000)
        os.close(fd)
        form = "array", "|u1", (length,), "C", 0
        if length == 10_000_000:
            assert len(both.believe(number, (form, None))) == length
            continue
        with pytest.raises(GuestProtocolError, match="more than its memory holds"):
            both.believe(number, (form, None))
