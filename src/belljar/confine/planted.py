"""What a guest wrote that something outside may later execute or obey: the end-of-run report.

Looked for by name (`sensitive.obeyed`) and by the executable bit, beneath every write grant, among
what changed since the run began: the kernel's change time, which a guest cannot set. A help, and
told as such: what it does not list may still be executed by whoever has other habits. Pipes,
sockets, devices and set-id files need no report: the walls let none be made.
"""

from __future__ import annotations

import os
import stat
import time
from itertools import islice

from belljar.confine.sensitive import obeyed, signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from belljar.model import Grant

_TICK = 10_000_000  # the clock of files may lag by a tick or two
#: A tree larger than this is not looked through to its end; nor for longer.
_MOST_ENTRIES = 50_000
_MOST_SECONDS = 1.0
_MOST_FOUND = 1000
_NEVER = (".hg", ".svn", "node_modules", "__pycache__")


def planted(
    before: dict[str, tuple[int, ...] | None], grants: tuple[Grant, ...], since: int
) -> tuple[str, ...]:
    """Paths of the host, in order: those of `before` whose signature is another now, and what else
    was written beneath a write grant after `since` (nanoseconds since 1970) and may be executed.

    Never raises: what cannot be read is left out.
    """
    found = {path for path, was in before.items() if signature(path) != was}
    roots = {
        os.path.realpath(g.source or g.target) for g in grants if g.right in ("write", "append")
    }
    left = _MOST_ENTRIES
    until = time.monotonic() + _MOST_SECONDS
    for root in sorted(roots):
        rest = [(root, "")]
        while rest and left > 0 and len(found) < _MOST_FOUND and time.monotonic() < until:
            folder, relative = rest.pop()
            try:
                with os.scandir(folder) as every:
                    entries = list(islice(every, left))
            except OSError:
                continue
            left -= len(entries)
            for entry in entries:
                inside = f"{relative}{entry.name}"
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in _NEVER:
                            rest.append((entry.path, inside + "/"))
                    elif _executed(inside, entry.stat(follow_symlinks=False), since - _TICK):
                        found.add(entry.path)
                except OSError:
                    continue
    inner = {path for path in found if any(other.startswith(f"{path}/") for other in found)}
    return tuple(sorted(found - inner))[:_MOST_FOUND]  # the file says more than its directory


def _executed(path: str, status: os.stat_result, since: int) -> bool:
    if status.st_ctime_ns < since:
        return False
    runs = stat.S_ISREG(status.st_mode) and status.st_mode & 0o111
    return bool(runs) or obeyed(path)
