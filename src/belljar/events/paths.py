"""Paths by their letters alone: nothing here looks at a disk.

Used by `events` (what a guest named) and `policy` (what a grant covers). A symbolic link can make
a lexical answer untrue; the walls, not this module, stop that.
"""

from __future__ import annotations


def absolute(path: str, base: str) -> str:
    """`path` made absolute against `base` and freed of `.`, `..`, empty parts and end slashes.

    >>> absolute("../etc/./passwd", "/srv/data")
    '/srv/etc/passwd'
    """
    if not path.startswith("/"):
        path = f"{base}/{path}"
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part and part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


def is_normal(path: str) -> bool:
    """Is `path` what `absolute` would return for it?"""
    if not path.startswith("/"):
        return False
    if "//" in path or "/." in path or (len(path) > 1 and path.endswith("/")):
        return path == absolute(path, "/")
    return True


def covers(granted: str, target: str) -> bool:
    """Is the normal path `target` the normal path `granted`, or beneath it?

    >>> covers("/data", "/data/x"), covers("/data", "/database")
    (True, False)
    """
    if not target.startswith(granted):
        return False
    return len(target) == len(granted) or granted == "/" or target[len(granted)] == "/"
