"""Paths that no policy may grant: everything, and trees through which everything is reached."""

from __future__ import annotations

from belljar.events.paths import covers

_WHOLE = ("/", "/sys", "/dev")


def refused_path(path: str) -> str:
    """Why the normal path may not be granted, or the empty string.

    >>> refused_path("/srv")
    ''
    """
    if covers("/proc", path):
        return f"{path} cannot be granted: a guest has no /proc"
    if path in _WHOLE:
        return f"{path} cannot be granted: name what is needed beneath it"
    return ""
