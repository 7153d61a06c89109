"""What a guest might do with shared memory. Each attack works against a careless host first."""

from __future__ import annotations

import mmap
import os
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from joined import Joined

from belljar.errors import GuestProtocolError
from belljar.sandbox.live import arrays, memory
from belljar.sandbox.live.buffers import NoRoom

SIZE = 1 << 20
FORM = ("array", "|u1", (SIZE,), "C", 0)


def careless(fd: int) -> Any:
    """A host that maps what the guest names."""
    return np.frombuffer(mmap.mmap(fd, SIZE, prot=mmap.PROT_READ), "u1")


class Guest:
    """Memory that a hostile guest was given."""

    def __init__(self, both: Joined) -> None:
        self.both = both
        self.number, self.fd = both.host.allot(SIZE)
        self.mine = both.host._given[self.number][0]  # the host's descriptor

    def returned(self, form: Any = FORM) -> Any:
        return self.both.believe(self.number, (form, None))

    def close(self) -> None:
        os.close(self.fd)


@pytest.fixture
def guest(both: Joined) -> Any:
    one = Guest(both)
    yield one
    one.close()


def test_a_mapping_that_was_kept_does_not_change_what_the_host_has(guest: Guest) -> None:
    kept = mmap.mmap(guest.fd, SIZE)
    naive = careless(guest.mine)
    got = guest.returned()
    kept[0] = 66
    assert naive[0] == 66  # the attack
    assert got[0] == 0


def test_a_descriptor_that_was_kept_does_not_change_what_the_host_has(guest: Guest) -> None:
    naive = careless(guest.mine)
    got = guest.returned()
    os.pwrite(guest.fd, b"B", 0)
    assert naive[0] == 66
    assert got[0] == 0


def test_a_second_process_that_writes_all_the_time_changes_no_result(guest: Guest) -> None:
    kept = mmap.mmap(guest.fd, SIZE)
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        whole = np.frombuffer(kept, "u1")
        for turn in range(1 << 40):
            whole[:] = turn & 255
            if turn == 1:
                os.write(go, b".")
        os._exit(0)
    try:
        os.read(ready, 1)
        naive = careless(guest.mine)
        assert any(naive.tobytes() != naive.tobytes() for _ in range(1000))
        for _ in range(20):
            got = guest.returned()
            assert got.tobytes() == got.tobytes() == got.tobytes()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(go)


def in_a_child(do: Callable[[], object]) -> int:
    """How a process ends that does this."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        do()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_memory_that_is_cut_off_does_not_kill_the_host(guest: Guest) -> None:
    naive = careless(guest.mine)
    got = guest.returned()
    os.ftruncate(guest.fd, 0)
    assert in_a_child(lambda: naive.sum()) == -signal.SIGBUS
    assert got.sum() == 0
    with pytest.raises(GuestProtocolError, match="took away"):
        guest.returned()
    with pytest.raises(GuestProtocolError, match="took away"):
        guest.returned(("bytes", SIZE))


def test_memory_that_was_cut_off_before_is_not_mapped(both: Joined) -> None:
    number, fd = both.host.allot(SIZE)
    os.ftruncate(fd, 4096)
    os.close(fd)
    with pytest.raises(GuestProtocolError, match="took away"):
        both.believe(number, (FORM, None))


def test_what_the_host_has_taken_over_nobody_can_open_again(both: Joined) -> None:
    number, fd = both.host.allot(SIZE)
    mine = os.dup(both.host._given[number][0])
    mmap.mmap(fd, SIZE).close()
    os.close(fd)
    got = both.believe(number, (FORM, None))
    assert both.host.used == 0  # taken, not copied
    for attack in (
        lambda: os.pwrite(mine, b"B", 0),
        lambda: mmap.mmap(mine, SIZE),
        lambda: os.ftruncate(mine, 0),
        lambda: os.ftruncate(mine, 2 * SIZE),
        lambda: os.truncate(f"/proc/self/fd/{mine}", 0),
    ):
        with pytest.raises(PermissionError):
            attack()
    got[0] = 1
    assert os.pread(mine, 1, 0) == b"\0"  # the host's writing is its own
    os.close(mine)


def test_seals_of_the_guests_own_do_not_help_it(guest: Guest) -> None:
    import fcntl

    kept = mmap.mmap(guest.fd, SIZE)
    fcntl.fcntl(guest.fd, 1033, memory.SHRINK | memory.FUTURE_WRITE)
    got = guest.returned()
    kept[0] = 66
    assert got[0] == 0
    guest.both.host.drop([guest.number])
    assert guest.both.host.used == SIZE  # it cannot be taken away, so it stays charged


def ask(both: Joined, times: int, size: int, kept: list[int]) -> None:
    for _ in range(times):
        kept.append(both.host.allot(size)[1])


def test_dropping_and_keeping_does_not_give_the_guest_more_than_its_room(both: Joined) -> None:
    kept = []
    for _ in range(4 * both.host.room // SIZE):
        number, fd = both.host.allot(SIZE)
        os.pwrite(fd, b"x" * SIZE, 0)
        kept.append(fd)
        both.host.drop([number])
    assert sum(os.fstat(fd).st_blocks for fd in kept) == 0
    for fd in kept:
        os.close(fd)
    kept.clear()
    with pytest.raises(NoRoom):
        ask(both, both.host.room // SIZE + 1, SIZE, kept)
    for fd in kept:
        os.close(fd)


def test_a_guest_cannot_occupy_all_descriptors_of_the_host(both: Joined) -> None:
    kept: list[int] = []
    with pytest.raises(NoRoom, match="256 parts"):
        ask(both, 1000, 1, kept)
    for fd in kept:
        os.close(fd)


def writing(fd: int) -> list[Callable[[], object]]:
    def protect() -> None:
        import ctypes

        held = mmap.mmap(fd, SIZE, prot=mmap.PROT_READ)
        libc = ctypes.CDLL(None, use_errno=True)
        where = np.frombuffer(held, "u1").__array_interface__["data"][0]
        if libc.mprotect(ctypes.c_void_p(where), SIZE, 3):
            raise PermissionError
        ctypes.memset(where, 66, 1)

    def reopen() -> None:
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        try:
            os.pwrite(again, b"B", 0)
        finally:
            os.close(again)

    def mapped() -> None:
        mmap.mmap(fd, SIZE)[0] = 66

    def hole() -> None:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4096)):
            raise PermissionError

    return [
        lambda: os.pwrite(fd, b"B", 0), mapped, protect, reopen, hole,
        lambda: os.ftruncate(fd, 0), lambda: os.ftruncate(fd, 2 * SIZE),
    ]  # fmt: skip


def test_no_guest_writes_to_an_array_of_the_hosts() -> None:
    unsealed = memory.create(SIZE, 0)
    for attack in writing(unsealed):
        attack()  # each one works there
        os.ftruncate(unsealed, SIZE)
    os.close(unsealed)
    mine = arrays.array((SIZE,), "u1")
    mine[0] = 1
    where = arrays.memory_of(mine)
    assert where is not None
    fd = os.dup(where[0].fd)
    for attack in writing(fd):
        with pytest.raises(PermissionError):
            attack()
    assert mine[0] == 1
    assert not mine[1:].any()
    os.close(fd)


WRONG_FORMS = {
    "objects": ("array", "|O", (8,), "C", 0),
    "objects of eight": ("array", "|O8", (8,), "C", 0),
    "fields": ("array", "i4,O", (8,), "C", 0),
    "raw": ("array", "|V8", (8,), "C", 0),
    "a list of fields": ("array", [("a", "O")], (8,), "C", 0),
    "no name of numpy's": ("array", "<f8 ", (8,), "C", 0),
    "native order": ("array", "=f8", (8,), "C", 0),
    "no order": ("array", "f8", (8,), "C", 0),
    "three bytes": ("array", "<i3", (8,), "C", 0),
    "text of no length": ("array", "<U0", (8,), "C", 0),
    "endless text": ("array", "|S99999999999999999999", (1,), "C", 0),
    "a unit that is none": ("array", "<M8[x]", (8,), "C", 0),
    "units with words": ("array", "<M8[ns,O]", (8,), "C", 0),
    "more than there is": ("array", "|u1", (SIZE + 1,), "C", 0),
    "beyond the end": ("array", "|u1", (1,), "C", SIZE),
    "before the beginning": ("array", "|u1", (1,), "C", -1),
    "a negative side": ("array", "|u1", (-1, -1), "C", 0),
    "a product that wraps": ("array", "|u1", (1 << 32, 1 << 32), "C", 0),
    "a product that wraps behind a nothing": ("array", "<f8", (1 << 61, 0, 1 << 61), "C", 0),
    "sides that are bools": ("array", "|u1", (True,), "C", 0),
    "sides that are floats": ("array", "|u1", (1.0,), "C", 0),
    "a list of sides": ("array", "|u1", [1], "C", 0),
    "33 sides": ("array", "|u1", (1,) * 33, "C", 0),
    "another order": ("array", "|u1", (1,), "A", 0),
    "not aligned": ("array", "<f8", (1,), "C", 4),
    "more": ("array", "|u1", (1,), "C", 0, 0),
    "less": ("array", "|u1", (1,), "C"),
    "long bytes": ("bytes", SIZE + 1),
    "negative bytes": ("bytes", -1),
    "endless bytes": ("bytearray", 1 << 80),
    "another kind": ("table", 3),
    "nothing": None,
    "an empty tuple": (),
    "a number": 7,
    "a number first": (7, 7),
}


@pytest.mark.parametrize("form", WRONG_FORMS.values(), ids=WRONG_FORMS)
def test_forms_that_do_not_fit_are_refused(form: Any, guest: Guest) -> None:
    with pytest.raises(GuestProtocolError):
        guest.returned(form)
    with pytest.raises(GuestProtocolError):
        guest.both.believe(0, (form, b"12345678"))


def test_references_that_are_none_are_refused(guest: Guest) -> None:
    believe = guest.both.believe
    for entry in (None, (), (FORM,), (FORM, None, None), [FORM, None], (FORM, b"x")):
        with pytest.raises(GuestProtocolError):
            believe(guest.number, entry)
    for number in (guest.number + 1, -1, 1 << 40):
        with pytest.raises(GuestProtocolError, match="not given"):
            believe(number, (FORM, None))
    other = Joined()
    with pytest.raises(GuestProtocolError, match="not given"):
        other.believe(guest.number, (FORM, None))
    other.close()
    with pytest.raises(GuestProtocolError):
        believe(0, (("scalar", "<f8"), b"1234567"))
    with pytest.raises(GuestProtocolError):
        believe(0, (("array", "<f8", (1 << 40,), "C", 0), b"12345678"))


@pytest.mark.parametrize("size", [0, -1, True, 1.0, 1 << 62, None, "1"])
def test_memory_of_no_size_is_refused(size: Any, both: Joined) -> None:
    with pytest.raises(GuestProtocolError):
        both.host.allot(size)


@pytest.mark.parametrize("numbers", [None, 3, "12", ["1"], [1.0], [True], {1: 2}])
def test_only_numbers_are_dropped(numbers: Any, both: Joined) -> None:
    with pytest.raises(GuestProtocolError):
        both.host.drop(numbers)


def test_bools_that_are_neither_never_reach_numpy(guest: Guest) -> None:
    os.pwrite(guest.fd, b"\2\xff", 100)
    naive = careless(guest.mine).view("?")[100:102]
    assert (naive == np.ones(2, "?")).all()
    assert naive.tobytes() != np.ones(2, "?").tobytes()  # equal, with other bytes
    with pytest.raises(GuestProtocolError, match="neither false nor true"):
        guest.returned(("array", "|b1", (SIZE,), "C", 0))
    with pytest.raises(GuestProtocolError, match="neither false nor true"):
        guest.both.believe(0, (("array", "|b1", (2, 2), "F", 0), b"\0\1\2\0"))


@pytest.mark.parametrize("dtype", ["<U2", ">U2"])
def test_text_that_is_no_unicode_never_reaches_numpy(dtype: str, guest: Guest) -> None:
    naive = np.frombuffer(b"\xff" * 8, dtype)
    impossible = str(naive[0])
    with pytest.raises(SystemError):
        impossible.upper()
    with pytest.raises(GuestProtocolError, match="no characters"):
        guest.both.believe(0, (("array", dtype, (1,), "C", 0), b"\xff" * 8))


def test_one_memory_named_again_and_again_does_not_fill_the_host(guest: Guest) -> None:
    from belljar.sandbox.live.buffers import Incoming

    incoming = Incoming(guest.both.host)
    got: list[Any] = []
    with pytest.raises(GuestProtocolError, match="too many"):
        got.extend(incoming.resolve(guest.number, (FORM, None)) for _ in range(1 << 20))
    assert len(got) * SIZE <= guest.both.host.room
    incoming.done()


def test_after_the_guests_end_nothing_of_it_is_held(both: Joined) -> None:
    number, fd = both.host.allot(SIZE)
    both.host.close()
    with pytest.raises(GuestProtocolError):
        both.believe(number, (FORM, None))
    with pytest.raises(NoRoom):
        both.host.allot(1)
    assert memory.alone(fd)
    os.close(fd)
