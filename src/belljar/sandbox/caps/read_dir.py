"""A directory to read, and nothing beside it."""

from __future__ import annotations

import os
import stat
from errno import EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO

from belljar.sandbox.bridge.exposure import Exposure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    Names = list[str]

_TOP: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_STEP: Final = _TOP | os.O_NOFOLLOW
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_DEEPEST: Final = 64
_MOST_NAMES: Final = 10_000


class ReadDir:
    """The files beneath `path`: a guest gets `read(path)`, `list(path="")` and `size(path)`.

    The directory is opened once, here. No link is followed, neither out nor within, nothing but
    regular files is opened, and names that begin with a dot do not exist unless `hidden`. `most` is
    how many bytes one file may have. Raises `OSError` where the directory cannot be opened.

    >>> box.share("data", ReadDir("data/"))  # doctest: +SKIP
    """

    __belljar__ = Exposure(methods=("read", "list", "size"))

    def __init__(
        self, path: str | os.PathLike[str], *, most: int = 16 << 20, hidden: bool = False
    ) -> None:
        self._fd = os.open(path, _TOP)
        self._most = most
        self._hidden = hidden

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        fd = self._file(path)
        try:
            parts, left = [], self._most + 1
            while left > 0 and (part := os.read(fd, min(left, 1 << 20))):
                parts.append(part)
                left -= len(part)
        finally:
            os.close(fd)
        if left <= 0:
            raise ValueError(f"the file has more than {self._most} bytes")
        return b"".join(parts)

    def size(self, path: str) -> int:
        """How many bytes a file has."""
        fd = self._file(path)
        try:
            return os.fstat(fd).st_size
        finally:
            os.close(fd)

    def list(self, path: str = "") -> Names:
        """The names in a directory, sorted; those of directories end with `/`."""
        fd = self._directory(self._parts(path) if path else [])
        try:
            names = []
            with os.scandir(fd) as found:
                for one in found:
                    if one.name[0] == "." and not self._hidden:
                        continue
                    if one.is_dir(follow_symlinks=False):
                        names.append(one.name + "/")
                    elif one.is_file(follow_symlinks=False):
                        names.append(one.name)
                    if len(names) > _MOST_NAMES:
                        raise ValueError(f"the directory has more than {_MOST_NAMES} names")
        finally:
            os.close(fd)
        return sorted(names)

    def close(self) -> None:
        """Let go of the directory."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self.close()

    def _parts(self, path: str) -> Names:
        if type(path) is not str:
            raise TypeError("a path is text")
        parts = path.removesuffix("/").split("/")
        if "\0" in path or len(parts) > _DEEPEST:
            raise ValueError("this is no path")
        for part in parts:
            if part in ("", ".", "..") or (part[0] == "." and not self._hidden):
                raise FileNotFoundError(ENOENT, "")
        return parts

    def _directory(self, parts: Names) -> int:
        fd = os.dup(self._fd)
        try:
            for part in parts:
                deeper = self._open(part, _STEP, fd)
                os.close(fd)
                fd = deeper
            # a descriptor of its own: scandir moves the place of the one that it reads
            return os.open(".", _TOP, dir_fd=fd)
        finally:
            os.close(fd)

    def _file(self, path: str) -> int:
        *above, name = self._parts(path)
        folder = self._directory(above)
        try:
            fd = self._open(name, _READ, folder)
        finally:
            os.close(folder)
        kind = os.fstat(fd).st_mode
        if not stat.S_ISREG(kind):
            os.close(fd)
            raise IsADirectoryError(EISDIR, "") if stat.S_ISDIR(kind) else _nothing()
        return fd

    @staticmethod
    def _open(name: str, flags: int, folder: int) -> int:
        try:
            return os.open(name, flags, dir_fd=folder)
        except OSError as error:
            if error.errno in (ELOOP, ENOTDIR, ENXIO):  # a link, or a socket
                raise _nothing() from None
            raise


def _nothing() -> FileNotFoundError:
    return FileNotFoundError(ENOENT, "")
