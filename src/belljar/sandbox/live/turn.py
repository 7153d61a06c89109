"""Whose call into a guest it is: one at a time, and no call waits for itself.

A thread that waits behind a call whose host function waits for this very thread would wait for
ever. What can be seen of that is seen: who holds which turn, and what the standard library says a
thread waits for. The guest is idle then, so the call is made inside the one that waits for it.
"""

from __future__ import annotations

import sys
import threading
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any, Final, TypeVar

    T = TypeVar("T")

#: Seconds until a thread that waits for its turn looks why, at first and later on.
_FIRST: Final = 0.01
_LATER: Final = 0.25
#: Threads that one chain may lead through.
_LONGEST: Final = 64

_waiting: dict[int, Turn] = {}  # by thread: the turn that it waits for


class Turn:
    """`take` it, and `leave` it as often. A thread may take it again while it has it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._holder = 0

    def take(self, look: Callable[[], None], inside: Callable[[list[int]], T | None]) -> T | None:
        """None, when the turn is this thread's. `inside` is told the threads from who has it to one
        that waits for this thread; what it makes of them is the result, and the turn is not this
        thread's. `look` is called now and then meanwhile, and breaks off by raising."""
        if self._lock.acquire(False):
            self._holder = get_ident()
            return None
        me = get_ident()
        before = _waiting.get(me)
        _waiting[me] = self
        try:
            seconds = _FIRST
            look()
            while not self._lock.acquire(True, seconds):
                look()
                chain = _chain(self._holder, me)
                found = inside(chain) if chain else None
                if found is not None:
                    return found
                seconds = min(_LATER, 2 * seconds)
        finally:
            if before is None:
                del _waiting[me]
            else:
                _waiting[me] = before
        self._holder = me
        return None

    def leave(self) -> None:
        """Let the next one have it."""
        self._lock.release()


def _chain(first: int, me: int) -> list[int]:
    """Threads, each waiting for the next, from `first` to one that waits for `me`; else nothing."""
    frames = sys._current_frames()
    came: dict[int, int] = {first: 0}
    rest = [first]
    while rest and len(came) < _LONGEST:
        one = rest.pop()
        for other in _waited_for(one, frames):
            if other == me:
                chain = [one]
                while came[chain[0]]:
                    chain.insert(0, came[chain[0]])
                return chain
            if other not in came:
                came[other] = one
                rest.append(other)
    return []


def _waited_for(thread: int, frames: dict[int, FrameType]) -> list[int]:
    """The threads that `thread` waits for, as far as that shows."""
    found = []
    turn = _waiting.get(thread)
    if turn is not None:
        found.append(turn._holder)
    ways = _ways()
    frame = frames.get(thread)
    while frame is not None:
        way = ways.get(frame.f_code)
        if way is not None:
            found += way(frame.f_locals, frames)
        frame = frame.f_back
    return found


def _ways() -> dict[CodeType, Callable[[Any, dict[int, FrameType]], list[int]]]:
    """What to make of the variables of a function that waits, by its code."""
    ways: dict[CodeType, Callable[[Any, dict[int, FrameType]], list[int]]] = {
        threading.Thread.join.__code__: lambda here, _: _ident(here.get("self")),
    }
    performing = sys.modules.get("belljar.sandbox.bridge.performing")
    if performing is not None:
        ways[performing._within.__code__] = lambda here, _: _ident(here.get("thread"))
    base = sys.modules.get("concurrent.futures._base")
    if base is not None:
        one, many = base.Future, (base.wait, base.as_completed)
        for function in (one.result, one.exception):
            ways[function.__code__] = lambda here, frames: _doing([here.get("self")], frames)
        for function in many:
            ways[function.__code__] = lambda here, frames: _doing(here.get("fs"), frames)
    return ways


def _ident(thread: object) -> list[int]:
    ident = thread.ident if isinstance(thread, threading.Thread) else None
    return [ident] if ident else []


def _doing(futures: Any, frames: dict[int, FrameType]) -> list[int]:
    """The threads of pools in which these futures are done at the moment."""
    pools = sys.modules.get("concurrent.futures.thread")
    if pools is None or not isinstance(futures, list | tuple | set | frozenset):
        return []
    works = pools._WorkItem.run.__code__
    found = []
    for ident, frame in frames.items():
        at: FrameType | None = frame
        while at is not None:
            if at.f_code is works:
                mine = getattr(at.f_locals.get("self"), "future", None)
                if any(mine is future for future in futures):
                    found.append(ident)
            at = at.f_back
    return found
