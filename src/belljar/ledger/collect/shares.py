"""What one sender may take of a collector: bytes a second, memory, connections. Pure bookkeeping.

All is counted by user: a user's processes are one sender here, and hinder each other at most.
"""

from __future__ import annotations

from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: The bursts of notes of one user, and how many a second after that.
NOTES: Final = 10
_MOST_USERS: Final = 4096


class Limits(Value):
    """The bounds of a collector. `rate` is bytes a second of one user, `pool` bytes of memory for
    messages longer than `SMALL`; seconds: `patience` is what a message may take to arrive,
    `greeting` what a connection has to begin its first run."""

    connections: int = 1024
    rate: int = 256 << 20
    pool: int = 96 << 20
    patience: float = 30.0
    greeting: float = 5.0

    @property
    def of_one_user(self) -> int:
        """Connections that one user may have: never all of them."""
        return max(1, self.connections // 2)

    @property
    def few(self) -> int:
        """Connections that nobody loses to make room for others."""
        return max(1, self.connections // 64)


class Bucket:
    """Tokens that come back at `rate` a second, up to one second's. May be overdrawn once.

    >>> bucket = Bucket(100, now=0.0)
    >>> bucket.take(150, 0.0), bucket.wait(0.0), bucket.wait(0.5)
    (None, 0.5, 0.0)
    """

    __slots__ = ("_at", "_left", "rate")

    def __init__(self, rate: int, now: float) -> None:
        self.rate = rate
        self._left = float(rate)
        self._at = now

    def take(self, amount: int, now: float) -> None:
        """Take `amount`, whether it is there or not."""
        self._refill(now)
        self._left -= amount

    def wait(self, now: float) -> float:
        """Seconds until there is something to take again."""
        self._refill(now)
        return max(0.0, -self._left / self.rate)

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._left = min(float(self.rate), self._left + (now - self._at) * self.rate)
            self._at = now


class Pool:
    """Memory for long messages: `most` bytes together, a third of that for one user.

    >>> pool = Pool(300)
    >>> pool.take(0, 90), pool.take(0, 90), pool.take(1, 90)
    (True, False, True)
    """

    __slots__ = ("_held", "free", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.free = most
        self._held: dict[int, int] = {}

    def take(self, user: int, size: int) -> bool:
        """Take `size` bytes for `user`, if they are there. One that holds none always may take
        up to the whole, where it is free: no message that is allowed can be too long for ever.
        """
        held = self._held.get(user, 0)
        if size > self.free or (held and held + size > self.most // 3):
            return False
        self.free -= size
        self._held[user] = held + size
        return True

    def give(self, user: int, size: int) -> None:
        """Give `size` bytes of `user` back."""
        self.free += size
        left = self._held.get(user, 0) - size
        if left > 0:
            self._held[user] = left
        else:
            self._held.pop(user, None)


class Shares:
    """What one user has of the collector now."""

    __slots__ = ("bucket", "connections", "notes", "unnoted", "user")

    def __init__(self, user: int, rate: int, now: float) -> None:
        self.user = user
        self.bucket = Bucket(rate, now)
        self.notes = Bucket(NOTES, now)
        self.connections = 0
        self.unnoted = 0  # what would have been noted, had there not been so much of it


class Users:
    """The shares of everybody who has connected. Those without a connection may be forgotten."""

    __slots__ = ("_by_user", "_rate")

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._by_user: dict[int, Shares] = {}

    def of(self, user: int, now: float) -> Shares:
        """What `user` has."""
        found = self._by_user.get(user)
        if found is None:
            if len(self._by_user) >= _MOST_USERS:
                self._by_user = {u: s for u, s in self._by_user.items() if s.connections}
            found = self._by_user[user] = Shares(user, self._rate, now)
        return found
