"""The few files of a zip archive that tell what is installed in it. Hostile input: bounded."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_LARGEST: Final = 64 << 20
_MOST_MEMBERS: Final = 20_000
#: What `zipfile` raises for archives that are none, or use what it does not know.
_WRONG: Final = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Zip:
    """An archive that was opened; `of` gives None for what is none."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    @classmethod
    def of(cls, path: str) -> Zip | None:
        """The archive at `path`, if it is a regular file of reasonable size."""
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
                return None
            return cls(zipfile.ZipFile(path))
        except _WRONG:
            return None

    def folders(self) -> list[str]:
        """The names of its top-level directories."""
        names = self._archive.namelist()[:_MOST_MEMBERS]
        return sorted({first for first, slash, _ in (n.partition("/") for n in names) if slash})

    def read(self, name: str, limit: int) -> bytes:
        """At most `limit` bytes of a member, b"" if it has none of that name."""
        try:
            with self._archive.open(name) as member:
                return member.read(limit)
        except _WRONG:
            return b""
