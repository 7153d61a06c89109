"""Memory without a name that host and guest share: memfds and their seals (memfd_create(2)).

Always made by the host; a guest's filter refuses `memfd_create`. No memory that a guest can write
or shorten is ever mapped by the host: `sealed` first, or copied with `read`, which asks the kernel
and cannot fault. (To fill one that nobody else has yet, it is mapped for that time.)
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap
    from typing import Final

# Numbers of <linux/fcntl.h>, since not every Python has all names.
_ADD, _GET = 1033, 1034
SEAL: Final = 1
SHRINK: Final = 2
GROW: Final = 4
WRITE: Final = 8
FUTURE_WRITE: Final = 16
_NOEXEC_SEAL = 8
_CHUNK: Final = 64 << 20


def create(size: int, seals: int) -> int:
    """A descriptor of `size` bytes of zeros, with these seals. Raises `OSError`."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        fd = os.memfd_create("belljar", flags | _NOEXEC_SEAL)
    except OSError:  # before Linux 6.3
        fd = os.memfd_create("belljar", flags)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, _ADD, seals)
    except OSError:
        os.close(fd)
        raise
    return fd


def pair(size: int) -> tuple[int, int]:
    """New memory of which a guest gets the second descriptor and the host keeps the first, each
    opened by itself: so `alone` can tell. It cannot grow. Raises `OSError`."""
    made = create(size, GROW)
    opened = []
    try:
        for _ in range(2):
            opened.append(os.open(f"/proc/self/fd/{made}", os.O_RDWR | os.O_CLOEXEC))
    except OSError:  # no procfs here: `alone` will say no, and all is copied
        for fd in opened:
            os.close(fd)
        return made, os.dup(made)
    os.close(made)
    return opened[0], opened[1]


def alone(fd: int) -> bool:
    """Whether no other opened file and no other mapping of this memory exists anywhere.

    The kernel gives a write lease only then (fcntl(2)); what cannot be told is a no.
    """
    if fd < 0:
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:
        return False
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True


def close_to_writers(fd: int) -> None:
    """Nobody who has no writable mapping of it by now gets one. Raises `OSError`."""
    fcntl.fcntl(fd, _ADD, FUTURE_WRITE | SEAL)


def seals(fd: int) -> int:
    """The seals that a memory has."""
    return fcntl.fcntl(fd, _GET)


def sealed(fd: int, size: int) -> bool:
    """Seal it so that nobody can change it any more; whether that came to be.

    Not where a writable mapping exists anywhere (the kernel counts them), or where it is shorter
    than `size`: nothing may then be mapped.
    """
    wanted = WRITE | SHRINK | GROW
    with suppress(OSError):  # EBUSY: mapped; EPERM: sealed by the guest, in one way or another
        fcntl.fcntl(fd, _ADD, wanted | SEAL)
    return seals(fd) & wanted == wanted and os.fstat(fd).st_size >= size


def read(fd: int, into: memoryview, offset: int) -> bool:
    """Copy bytes out of a memory that others may change meanwhile; whether there were as many."""
    while into:
        count = os.preadv(fd, [into[:_CHUNK]], offset)
        if not count:
            return False
        into, offset = into[count:], offset + count
    return True


def write(fd: int, data: memoryview, offset: int = 0) -> None:
    """Copy bytes into a memory. Raises `OSError`, as for one that the guest shortened."""
    while data:
        count = os.pwrite(fd, data[:_CHUNK], offset)
        data, offset = data[count:], offset + count


def free(fd: int) -> bool:
    """Give the pages back, whoever still maps them; whether that was possible."""
    try:
        os.ftruncate(fd, 0)
    except OSError:  # sealed: it stays as long as somebody holds it
        return False
    return True


def map_private(fd: int, size: int) -> mmap:
    """A sealed memory as one's own: what is written goes to a copy of the page."""
    import mmap

    return mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
