"""How often and how long a guest may call a host's method."""

from __future__ import annotations

from _thread import allocate_lock
from time import monotonic

from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Limit(Value):
    """Limits of one method: None is no limit.

    `calls`: how many altogether; `per_second`: how many a second (as many, and at least one, at
    once); `seconds`: how long one call may take. A call that takes longer ends for the guest with
    `TimeoutError`; Python cannot stop a thread, so a plain function goes on in a thread of its own
    and its result is thrown away. An `async def` is cancelled.

    >>> Limit(calls=100, per_second=10, seconds=5).calls
    100
    """

    calls: int | None = None
    per_second: float | None = None
    seconds: float | None = None


def checked_limit(limit: object) -> Limit:
    """`limit` if it is one that can be kept. Raises `TypeError` or `ValueError`."""
    if type(limit) is not Limit:
        raise TypeError(f"a limit is a belljar.Limit, not {type(limit).__name__}")
    calls = limit.calls
    if calls is not None and (type(calls) is not int or calls < 0):
        raise ValueError("calls is a whole number from 0 on, or None")
    for name in ("per_second", "seconds"):
        value = getattr(limit, name)
        if value is not None and (type(value) not in (int, float) or not 0 < value < 1e9):
            raise ValueError(f"{name} is a number above 0, or None")
    return limit


class Meter:
    """Counts calls against one `Limit`. Any number of threads may take at once."""

    __slots__ = ("_at", "_clock", "_left", "_lock", "_rate", "_room", "calls", "seconds")

    def __init__(self, limit: Limit, clock: Callable[[], float] = monotonic) -> None:
        self._lock = allocate_lock()
        self._clock = clock
        self.calls, self.seconds = limit.calls, limit.seconds
        self._left = limit.calls
        self._rate = limit.per_second
        self._room = max(1.0, float(limit.per_second or 0))
        self._at = clock()

    def take(self) -> str | None:
        """Count one call. Why it may not be made, or None where it may."""
        with self._lock:
            if self._left == 0:
                return f"its {self.calls} calls are used up" if self.calls else "no calls are left"
            if self._rate is not None:
                now = self._clock()
                most = max(1.0, float(self._rate))
                self._room = min(most, self._room + (now - self._at) * self._rate)
                self._at = now
                if self._room < 1.0:
                    return f"more than {self._rate:g} calls a second"
                self._room -= 1.0
            if self._left is not None:
                self._left -= 1
            return None


def shortest(meters: tuple[Meter, ...]) -> float | None:
    """How many seconds a call may take at most; None where nobody says."""
    each = [meter.seconds for meter in meters if meter.seconds is not None]
    return min(each) if each else None
