"""Whose the ids are that `/etc/subuid` lends: one person's sixty-five thousand are one user."""

from __future__ import annotations

import os
from bisect import bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

FILE: Final = "/etc/subuid"
_MOST: Final = 1 << 20


class Owners:
    """Users by the ids that they may take in a user namespace (subuid(5)). The file is read again
    when it is another; lines that say nothing are passed over.

    >>> Owners("/no/such/file").of(1000)
    1000
    """

    __slots__ = ("_path", "_ranges", "_seen")

    def __init__(self, path: str = FILE) -> None:
        self._path = path
        self._ranges: list[tuple[int, int, int]] = []  # first id, the one behind the last, owner
        self._seen: tuple[int, ...] = ()

    def of(self, uid: int) -> int:
        """The user who has `uid` from the administrator; `uid` itself where nobody has."""
        self._look()
        at = bisect_right(self._ranges, (uid, 1 << 33, 0)) - 1
        if at >= 0 and self._ranges[at][0] <= uid < self._ranges[at][1]:
            return self._ranges[at][2]
        return uid

    def _look(self) -> None:
        try:
            found = os.stat(self._path)
            seen = found.st_mtime_ns, found.st_size, found.st_ino
            if seen != self._seen:
                self._seen = seen
                with open(self._path, "rb") as file:
                    self._ranges = _parsed(file.read(_MOST))
        except OSError:
            self._seen, self._ranges = (), []


def _parsed(data: bytes) -> list[tuple[int, int, int]]:
    found = []
    for line in data.decode("ascii", "replace").split("\n"):
        name, _, rest = line.partition(":")
        first, _, count = rest.strip().partition(":")
        owner = _uid(name)
        if owner is not None and _is_number(first) and _is_number(count):
            found.append((int(first), int(first) + int(count), owner))
    return sorted(found)


def _uid(name: str) -> int | None:
    from pwd import getpwnam

    if _is_number(name):
        return int(name)
    try:
        return getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10
