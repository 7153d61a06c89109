"""Files of a runtime image: read as what anybody may have put there, written for the guest."""

from __future__ import annotations

import errno
import os

from belljar.confine.image.relocate import Needles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

FILE = 0o100000
MOST = 1 << 30  # bytes of a file that is read as a whole
CHUNK = 1 << 23


def opened(fd: int, name: str) -> int:
    """A descriptor of a regular file. Raises `OSError`."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    if os.fstat(file).st_mode & 0o170000 != FILE:
        os.close(file)
        raise OSError(errno.ESTALE, "was replaced meanwhile", name)
    return file


def read(fd: int, name: str) -> bytes | None:
    """What a regular file holds; None where it is not there, or not for us to read."""
    try:
        file = opened(fd, name)
    except (FileNotFoundError, PermissionError):
        return None
    with open(file, "rb") as stream:
        return stream.read(MOST + 1)


def holds(file: IO[bytes], needles: Needles) -> bool:
    overlap = max((len(needle) for needle in needles.all), default=1)
    rest = b""
    while chunk := file.read(CHUNK):
        if needles.found(rest + chunk):
            return True
        rest = chunk[-overlap:]
    return False


def folder(path: str) -> None:
    """Make it, and those above it, readable for the guest whatever our umask is."""
    if not os.path.isdir(os.path.dirname(path)):
        folder(os.path.dirname(path))
    os.mkdir(path, 0o755)
    os.chmod(path, 0o755)  # noqa: S103 (the guest is another user; the cache above is private)


def write(path: str, data: bytes | IO[bytes], like: os.stat_result | None) -> None:
    mode = 0o755 if like is not None and like.st_mode & 0o111 else 0o644
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:
        os.fchmod(fd, mode)  # whatever our umask is
        if isinstance(data, bytes):
            file.write(data)
        else:
            while chunk := data.read(CHUNK):
                file.write(chunk)
    if like is not None:  # compiled files know their source by its time
        os.utime(path, ns=(like.st_mtime_ns, like.st_mtime_ns))
