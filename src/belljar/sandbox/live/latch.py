"""An event that happens once. Unlike `threading.Event` it has no lock that an interrupt of a thread
that waits could leave locked for everybody else."""

from __future__ import annotations

from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType


class Latch:
    """`set()` from any thread, any number of times; `wait(seconds)` is whether it has come."""

    __slots__ = ("_set", "_waiting")

    def __init__(self) -> None:
        self._set = False
        self._waiting: list[LockType] = []  # one for each thread: nobody waits for a shared one

    def is_set(self) -> bool:
        """Has it come?"""
        return self._set

    def set(self) -> None:
        """Let it come."""
        self._set = True
        while self._waiting:
            self._waiting.pop().release()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it comes, at most so many seconds."""
        if not self._set:
            mine = allocate_lock()
            mine.acquire()
            self._waiting.append(mine)
            if not self._set:  # else `set` may have looked before
                mine.acquire(True, -1 if seconds is None else max(0.0, seconds))
        return self._set
