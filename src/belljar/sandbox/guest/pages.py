"""Shared memory in large pages: making it, passing it on and giving it back costs far less.

Linux takes small pages for such memory unless it is asked for each large one (MADV_COLLAPSE,
madvise(2), from 6.1): where a small one is there already, and in a map that begins at a multiple of
a large one. All of this is a wish; without it the memory is the same. For both sides, on any
CPython from 3.8.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LARGE_PAGE = 2 << 20
LARGE_PAGES_FROM = 4 << 20  # bytes of memory that is to have large pages
_PAGES_AT_ONCE = 4 * LARGE_PAGE  # more is far from the processor again when it is filled
_MOST_AT_BIRTH = 1 << 30  # bytes that are made before anybody writes to them
_WRITE_AT_ONCE = 64 << 20


def with_slack(size: int) -> int:
    """Bytes to make for memory of `size`: whole large pages, and what `straight` needs besides."""
    return _up(size) + LARGE_PAGE if size >= LARGE_PAGES_FROM else size


def _up(size: int) -> int:
    return -(-size // LARGE_PAGE) * LARGE_PAGE


def straight(make: "Callable[[int], Any]", size: int, whole: int) -> "tuple[Any, bool]":
    """A map by `make(length)` of at least `size` bytes of memory of `whole`, and whether it is of
    whole large pages from its beginning on.

    Where it begins cannot be chosen. But the kernel puts each map right below another: one that is
    as much longer as the first was beside the mark begins at it.
    """
    numpy: "Any" = sys.modules.get("numpy")
    if size < LARGE_PAGES_FROM or whole < with_slack(size) or numpy is None:
        return make(size), False
    made = make(_up(size))
    over = _address(numpy, made) % LARGE_PAGE
    if over:
        made.close()
        made = make(_up(size) + over)
    return made, not _address(numpy, made) % LARGE_PAGE


def _address(numpy: "Any", made: "Any") -> int:
    address: int = numpy.frombuffer(made, "u1").__array_interface__["data"][0]
    return address


def enlarge(made: "Any", fd: int, start: int, stop: int) -> bool:
    """Have large pages for zeros that nobody has written to yet, in a map that is straight."""
    try:
        for at in range(start, stop, LARGE_PAGE):
            posix.pwrite(fd, b"\0", at)  # where there is no memory: an error, and no signal
    except OSError as error:
        if error.errno != 27:
            return False
        for at in range(start, stop, LARGE_PAGE):
            made[at] = 0
    try:
        made.madvise(25, start, stop - start)  # MADV_COLLAPSE
    except (OSError, ValueError):  # no such kernel, or no such pages
        return False
    return True


def at_birth(made: "Any", fd: int, good: bool, size: int) -> None:
    """Large pages for new memory, before it is written to."""
    if size < LARGE_PAGES_FROM:
        return
    try:
        made.madvise(14)  # MADV_HUGEPAGE: for what follows, where the kernel heeds it
    except OSError:
        return
    whole = _up(min(size, _MOST_AT_BIRTH))
    for at in range(0, whole, _PAGES_AT_ONCE):
        if not good or not enlarge(made, fd, at, min(at + _PAGES_AT_ONCE, whole)):
            return


def fill_new(fd: int, data: "memoryview") -> None:
    """Copy bytes to the beginning of new memory, which nobody else can shorten. Raises OSError."""
    import mmap

    size, at = len(data), 0
    if size >= LARGE_PAGES_FROM:
        whole = posix.fstat(fd).st_size
        made, good = straight(lambda length: mmap.mmap(fd, length), size, whole)
        with made, memoryview(made) as there:
            # In steps: what was just cleared is still near.
            while good and at < size and enlarge(made, fd, at, _up(min(at + _PAGES_AT_ONCE, size))):
                stop = min(at + _PAGES_AT_ONCE, size)
                there[at:stop] = data[at:stop]
                at = stop
    try:
        while at < size:  # cheaper than a map, whose every page is a fault
            at += posix.pwrite(fd, data[at : at + _WRITE_AT_ONCE], at)
    except OSError as error:
        if error.errno != 27:  # EFBIG: more than a file may have here (limits.disk)
            raise
        with mmap.mmap(fd, size) as made:
            made[at:size] = data[at:]


def flat_bytes(numpy: "Any", value: "Any", order: str) -> "memoryview":
    """The bytes of an array, one behind another; a copy only where they do not lie so."""
    whole = value if value.flags["%s_CONTIGUOUS" % order] else numpy.array(value, order=order)
    flat = (whole.T if order == "F" else whole).reshape(-1)
    return memoryview(flat.view(numpy.uint8))
