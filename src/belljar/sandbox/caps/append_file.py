"""A file that only grows."""

from __future__ import annotations

import os
import stat
from _thread import allocate_lock

from belljar.sandbox.bridge.exposure import Exposure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_FLAGS: Final = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
)


class AppendFile:
    """The end of the file `path`, which is made (0600) where there is none: a guest gets
    `append(data)`, of bytes or text, and can neither read nor change what is there.

    `most` is how many bytes it may add altogether. Raises `OSError` where the file cannot be
    opened, `ValueError` where it is none.

    >>> box.share("log", AppendFile("guest.log"))  # doctest: +SKIP
    """

    __belljar__ = Exposure(methods=("append",))

    def __init__(self, path: str | os.PathLike[str], *, most: int = 16 << 20) -> None:
        self._lock = allocate_lock()
        self._left = most
        self._fd = os.open(path, _FLAGS, 0o600)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            self.close()
            raise ValueError(f"{os.fspath(path)} is no regular file")

    def append(self, data: bytes | str) -> int:
        """Add to the end of the file; how many bytes. All of it is added, or nothing."""
        if type(data) is str:
            data = data.encode("utf-8", "backslashreplace")
        if type(data) is not bytes:
            raise TypeError("what is appended is bytes or text")
        with self._lock:
            if len(data) > self._left:
                raise ValueError(f"{self._left} bytes may be added, not {len(data)}")
            self._left -= len(data)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        return len(data)

    def close(self) -> None:
        """Let go of the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self.close()
