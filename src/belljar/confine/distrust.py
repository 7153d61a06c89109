"""What guests may have written is not obeyed by later runs, unless someone names it.

A `pyproject.toml` or `.venv` is found, not named, so a guest with a write grant could make one
for the run after it. Two notes are kept in the cache: what a guest was seen to write, and which
directories guests could write since when (the kernel's change time cannot be forged).
"""

from __future__ import annotations

import os
import time

from belljar.confine.sensitive import beneath
from belljar.errors import PolicyError
from belljar.model import Grant

_ROOTS = "written-roots"
_TICK = 10_000_000  # the clock of files may lag by a tick or two


def remember(cache: str, path: str) -> None:
    """Note that a guest wrote `path`, so that no later run takes it for its owner's."""
    try:
        stat = os.lstat(path)
    except FileNotFoundError:
        return  # it removed it: nothing to obey
    with open(_note(cache, path), "w", encoding="ascii") as file:
        file.write(f"{stat.st_dev}:{stat.st_ino}")


def remember_roots(cache: str, grants: tuple[Grant, ...], shielded: bool) -> None:
    """Note the directories that a guest is about to be able to write, before it can."""
    roots = {os.path.realpath(g.source or g.target) for g in grants if g.right == "write"}
    if not roots:
        return
    known = {(root, flag) for root, flag, _ in _roots(cache)}
    flag = "shielded" if shielded else "open"
    new = [root for root in sorted(roots) if (root, flag) not in known and "\n" not in root]
    if new:
        now = time.time_ns() - _TICK
        lines = "".join(f"{now} {flag} {root}\n" for root in new)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(os.path.join(cache, _ROOTS), flags, 0o600)
        try:
            os.write(fd, lines.encode("utf-8", "surrogateescape"))
        finally:
            os.close(fd)


def distrust(cache: str | None, path: str, remedy: str) -> None:
    """Raise `PolicyError` when `path`, found and not named, may be a guest's work."""
    if cache is None:
        return
    path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    try:
        stat = os.lstat(path)
    except OSError:
        return  # there is nothing to obey
    text = "may have been written by a guest in an earlier run; review it, then "
    try:
        with open(_note(cache, path), encoding="ascii") as file:
            noted = file.read()
    except FileNotFoundError:
        noted = ""
    if noted == f"{stat.st_dev}:{stat.st_ino}":
        raise PolicyError(path, text + remedy)
    for root, flag, since in _roots(cache):
        shielded = flag == "shielded" and os.path.dirname(path) == root
        if beneath(path, root) and not shielded and stat.st_ctime_ns >= since:
            raise PolicyError(path, text + remedy)


def _roots(cache: str) -> list[tuple[str, str, int]]:
    try:
        with open(os.path.join(cache, _ROOTS), encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    rows = (line.split(" ", 2) for line in lines)
    return [(row[2], row[1], int(row[0])) for row in rows if len(row) == 3 and row[0].isdigit()]


def _note(cache: str, path: str) -> str:
    from belljar.policy.identity import sha256_hex  # not hashlib, which loads OpenSSL: 3 ms

    return os.path.join(cache, "planted-" + sha256_hex(os.fsencode(path)))
