"""Where answers about the machine are kept between runs."""

from __future__ import annotations

import os


def cache_directory() -> str | None:
    """A private directory for answers, or None where none can be had."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):  # the specification: relative ones are to be ignored
        base = os.path.expanduser("~/.cache")
    path = os.path.join(base, "belljar")
    try:
        try:
            stat = os.stat(path)
        except FileNotFoundError:
            os.makedirs(path, mode=0o700, exist_ok=True)
            stat = os.stat(path)
    except OSError:
        return None  # a machine without a home: everything works, asked anew each time
    return path if stat.st_uid == os.geteuid() and not stat.st_mode & 0o022 else None
