"""The few files of a zip archive that tell what is installed in it. Hostile input: bounded."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_LARGEST: Final = 64 << 20
_LARGEST_DIRECTORY: Final = 1 << 20
_MOST_MEMBERS: Final = 4000
_MEMBER: Final = b"PK\1\2"  # begins each member's entry in the directory
#: What `zipfile` raises for archives that are none, or use what it does not know.
_WRONG: Final = (
    OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, MemoryError,
    ArithmeticError, AssertionError, AttributeError, zipfile.BadZipFile, zipfile.LargeZipFile,
    struct.error, zlib.error,
)  # fmt: skip
#: What Python itself imports from. The others take memory as the archive says, not as we say.
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class _Source(io.FileIO):
    """A regular file that gives no large directory: whatever `zipfile` makes of the sizes that the
    archive tells, and whoever changes it meanwhile, it parses what it was given here."""

    def read(self, size: int | None = -1, /) -> bytes:
        most = _LARGEST_DIRECTORY + 1
        data = super().read(most if size is None or size < 0 else min(size, most)) or b""
        if len(data) == most or data.count(_MEMBER) > _MOST_MEMBERS:
            raise OSError("too large a directory")
        return data

    def __del__(self) -> None:
        self.close()


def _open(path: str) -> _Source | None:
    """`path`, if it is a regular file of reasonable size; never waits for a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
        os.close(descriptor)
        return None
    return _Source(descriptor)


class Zip:
    """An archive that was opened; `of` gives None for what is none."""

    def __init__(self, source: _Source) -> None:
        self._archive = zipfile.ZipFile(source)

    @classmethod
    def of(cls, path: str) -> Zip | None:
        """The archive at `path`, if it is one of reasonable size."""
        source = None
        try:
            source = _open(path)
            if source is not None:
                return cls(source)
        except _WRONG:
            if source is not None:
                source.close()
        return None

    def folders(self) -> list[str]:
        """The names of its top-level directories."""
        names = self._archive.namelist()[:_MOST_MEMBERS]
        return sorted({first for first, slash, _ in (n.partition("/") for n in names) if slash})

    def read(self, name: str, limit: int) -> bytes:
        """At most `limit` bytes of a member, b"" if it has none of that name."""
        try:
            if self._archive.getinfo(name).compress_type not in _METHODS:
                return b""
            found = bytearray()
            with self._archive.open(name) as member:
                while len(found) < limit and (
                    more := member.read(min(limit - len(found), 1 << 16))
                ):
                    found += more
            return bytes(found)
        except _WRONG:
            return b""
