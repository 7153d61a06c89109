"""Remove the channels of collectors that were killed before they could do it themselves."""

from __future__ import annotations

import fcntl
import os
import stat
import time

_PREFIX = "belljar-"
_LENGTH = len(_PREFIX) + 18
#: Younger ones may be about to be locked by their maker.
_SECONDS = 60
#: Seconds between two looks at the same place by one process.
_AGAIN = 10.0
_swept: dict[str, float] = {}
#: Where a sandbox without a private tmpfs keeps its guest's temporary files.
SCRATCH = "scratch"


def hold(channel: int) -> None:
    """Mark the open FIFO as in use, for as long as this process keeps it open."""
    fcntl.flock(channel, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep_sometimes(parent: str) -> None:
    """`sweep`, unless this process did it there a moment ago: the place may be large."""
    now = time.monotonic()
    if now - _swept.get(parent, -_AGAIN) >= _AGAIN:
        _swept[parent] = now
        sweep(parent)


def sweep(parent: str) -> None:
    """Remove every channel directory of ours in `parent` that nobody holds. Never raises."""
    try:
        names = os.listdir(parent)
    except OSError:
        return
    for name in names:
        if len(name) == _LENGTH and name.startswith(_PREFIX):
            _remove(f"{parent}/{name}")


def _remove(directory: str) -> None:
    try:
        found = os.lstat(directory)
        private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
        if not private or found.st_uid != os.geteuid() or time.time() - found.st_mtime < _SECONDS:
            return  # nobody else can have made or filled what passes here
        if not os.listdir(directory):
            os.rmdir(directory)  # killed before the channel was made, or after it was removed
            return
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        channel = os.open(directory + "/channel", flags)
        try:
            hold(channel)
            for name in os.listdir(directory):
                if name == SCRATCH:
                    from belljar.watch.remove import remove_tree

                    remove_tree(f"{directory}/{name}")  # what a guest left in its own
                else:
                    os.unlink(f"{directory}/{name}")
            os.rmdir(directory)
        finally:
            os.close(channel)
    except OSError:
        return  # in use, or someone else removes it
