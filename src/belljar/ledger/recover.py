"""What a writer does with the torn end that a killed one left: keep it, cut it, tell it.

Three names tell how far that got, so that it may itself be killed anywhere: `torn-*.tmp` is a
copy in the making (the bytes are still in the ledger), `torn-*.part` a whole copy that no
RECOVERED record names yet, `torn-*.bin` one that is named. The caller holds the ledger's lock.
"""

from __future__ import annotations

import os
import stat

from belljar.ledger.folders import open_at
from belljar.ledger.format import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def cut(fd: int, folder: int, offset: int, size: int, now: int) -> None:
    """Copy the bytes from `offset` to `size` to a side file, then cut them off. Raises `OSError`.

    >>> cut(fd, folder, offset=4096, size=5000, now=time.time_ns())  # doctest: +SKIP
    """
    stem = f"torn-{offset}-{now}"
    side = os.open(stem + ".tmp", _CREATE, 0o600, dir_fd=folder)
    try:
        at = offset
        while at < size:
            part = memoryview(os.pread(fd, min(_CHUNK, size - at), at))
            at += len(part)
            while part:
                part = part[os.write(side, part) :]
        os.fsync(side)
    finally:
        os.close(side)
    os.rename(stem + ".tmp", stem + ".part", src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
    os.ftruncate(fd, offset)


def untold(folder: int) -> Iterator[tuple[str, int, int, str]]:
    """Side files that no record names: name (to be), offset, length, SHA-256. Raises `OSError`."""
    for name in sorted(os.listdir(folder)):
        if not name.startswith("torn-"):
            continue
        if name.endswith(".tmp"):
            os.unlink(name, dir_fd=folder)
        elif name.endswith(".part") and _regular(folder, name):
            offset = name.split("-")[1]
            if offset.isascii() and offset.isdigit() and len(offset) < 20:
                length, digest = _digest(folder, name)
                yield name[:-5] + ".bin", int(offset), length, digest


def told(folder: int, name: str) -> None:
    """The RECOVERED record for side file `name` is written. Raises `OSError`."""
    os.rename(name[:-4] + ".part", name, src_dir_fd=folder, dst_dir_fd=folder)


def _regular(folder: int, name: str) -> bool:
    """A pipe of that name must not hold up a writer."""
    return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _digest(folder: int, name: str) -> tuple[int, str]:
    side = open_at(folder, name)
    try:
        state, length = sha256(b""), 0
        while part := os.read(side, _CHUNK):
            state.update(part)
            length += len(part)
        return length, state.hexdigest()
    finally:
        os.close(side)
