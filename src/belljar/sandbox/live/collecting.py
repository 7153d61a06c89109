"""Files that a guest left, taken when it has ended: regular ones, bounded, no link followed."""

from __future__ import annotations

import os
import stat

from belljar.errors import BelljarError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

MOST_FILES: Final = 1000
MOST_BYTES: Final = 64 << 20
_MOST_NAMES: Final = 100_000  # looked at, in all folders
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def check(patterns: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """The parts of each pattern. Raises `BelljarError` for one that leaves its folder."""
    parts = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        found = tuple(part for part in pattern.split("/") if part not in ("", "."))
        if not found or pattern.startswith("/") or ".." in found:
            raise BelljarError(
                f"cannot collect {pattern!a}: a pattern is relative to the working directory, and "
                "stays beneath it"
            )
        parts.append(found)
    return tuple(parts)


def collect(
    folder: str,
    patterns: tuple[tuple[str, ...], ...],
    most_files: int = MOST_FILES,
    most_bytes: int = MOST_BYTES,
) -> dict[str, bytes]:
    """The contents of the regular files beneath `folder` that a pattern names, by relative path.

    What is a link, a pipe or a device is left out, and so are links on the way. Raises
    `BelljarError` beyond so many files or bytes: then nothing is taken along.
    """
    found: dict[str, bytes] = {}
    left = most_bytes
    seen = [0]
    for parts in patterns:
        try:
            top = os.open(folder, _FOLDER)
        except OSError:
            continue
        for name, fd in _matching(top, parts, "", seen):
            try:
                if name in found or not stat.S_ISREG(os.fstat(fd).st_mode):
                    continue
                data = _read(fd, left)
            finally:
                os.close(fd)
            left -= len(data)
            if left < 0 or len(found) >= most_files:
                raise BelljarError(
                    f"the guest left more than {most_files} files or {most_bytes} bytes to collect"
                )
            found[name] = data
    return found


def _matching(
    folder: int, parts: tuple[str, ...], path: str, seen: list[int]
) -> Iterator[tuple[str, int]]:
    """Path and descriptor of what matches; `folder` is closed here."""
    from fnmatch import fnmatchcase  # with `re`, the most that is imported here

    try:
        names = []
        with os.scandir(folder) as entries:
            for entry in entries:
                seen[0] += 1
                if seen[0] > _MOST_NAMES:
                    raise BelljarError("the guest left too many files to look at")
                if fnmatchcase(entry.name, parts[0]):
                    names.append(entry.name)
        for name in sorted(names):
            try:
                fd = os.open(name, _FOLDER if len(parts) > 1 else _FILE, dir_fd=folder)
            except OSError:
                continue  # a link, gone, or not a folder
            if len(parts) > 1:
                yield from _matching(fd, parts[1:], f"{path}{name}/", seen)
            else:
                yield path + name, fd
    finally:
        os.close(folder)


def _read(fd: int, most: int) -> bytes:
    """The content, or one byte more than `most`."""
    pieces = []
    size = 0
    while size <= most:
        data = os.read(fd, min(1 << 20, most + 1 - size))
        if not data:
            break
        pieces.append(data)
        size += len(data)
    return b"".join(pieces)
