"""Symbolic links on the way to what a program read and wrote, as they stand when it has ended.

An event names what was asked for. Following links at that moment costs the program more than the
event itself (`--resolve` does it); looking once at the end costs it nothing, and tells what a
person would find who looked.
"""

from __future__ import annotations

import _thread
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

_MOST_LOOKS: Final = 10_000
_PATIENCE: Final = 0.3  # seconds: a file system may be somebody's who does not answer
#: What a system links by itself, and everybody knows: /bin, /var/run, /proc/self.
_OF_SYSTEM: Final = ("/", "/etc", "/var")
_BENEATH: Final = ("/proc/", "/sys/", "/dev/", "/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/")


def leading(paths: Iterable[str]) -> dict[str, str]:
    """The links on the way to absolute `paths`, outermost first of each, and where they lead now;
    those of the system itself are left out. A look takes 0.3 s at most, and 10,000 places: what
    was not reached is not told. Never raises.

    >>> leading(["/etc/hostname", "/proc/self/exe"])
    {}
    """
    found: dict[str, str] = {}
    over = _thread.allocate_lock()
    over.acquire()
    all_paths = list(paths)

    def look() -> None:
        try:
            _look(all_paths, found)
        finally:
            over.release()

    _thread.start_new_thread(look, ())
    over.acquire(timeout=_PATIENCE)
    return dict(found)


def _look(paths: list[str], found: dict[str, str]) -> None:
    known: set[str] = set()
    for path in paths:
        if not path.startswith("/") or "\0" in path:
            continue
        at = 0
        while at >= 0:
            at = path.find("/", at + 1)
            prefix = path if at < 0 else path[:at]
            if prefix in found:
                break
            if prefix in known or prefix == "/":
                continue
            if len(known) >= _MOST_LOOKS:
                return
            known.add(prefix)
            try:
                mode = os.lstat(prefix).st_mode
            except OSError:  # it is gone, or nobody may see it
                break
            if not stat.S_ISLNK(mode):
                continue
            if os.path.dirname(prefix) in _OF_SYSTEM or prefix.startswith(_BENEATH):
                continue
            found[prefix] = os.path.realpath(prefix)
            break
