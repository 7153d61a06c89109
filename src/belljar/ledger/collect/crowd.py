"""Who is connected to a collector: who is late, and who goes for a newcomer when it is full."""

from __future__ import annotations

from belljar.ledger.collect.owners import Owners
from belljar.ledger.collect.shares import Users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from belljar.ledger.collect.connection import Connection
    from belljar.ledger.collect.shares import Limits, Shares

#: Seconds between two looks for late ones.
PACE: Final = 0.25


class Crowd:
    """The connections of a collector, and what their users have of it.

    A connection is late when it has not begun a run within `Limits.greeting`, or when a message
    of which a part is there is not whole within `Limits.patience`. One that has begun a run may
    be silent for as long as it likes: an application with nothing to tell.
    """

    __slots__ = ("_by_fd", "_due", "_expected", "_limits", "_owners", "_users")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._users = Users(limits.rate)
        self._owners = Owners()
        self._by_fd: dict[int, Connection] = {}
        self._expected: dict[Connection, None] = {}
        self._due = 0.0

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._by_fd.values()))

    def get(self, fd: int) -> Connection | None:
        """The connection with this descriptor."""
        return self._by_fd.get(fd)

    def of(self, user: int, now: float) -> Shares:
        """What `user` has, and whoever uses ids that were lent to him."""
        return self._users.of(self._owners.of(user), now)

    def enter(self, connection: Connection) -> None:
        """One more, of which a START is expected."""
        connection.shares.connections += 1
        self._by_fd[connection.sock.fileno()] = connection
        self.expect(connection)

    def leave(self, connection: Connection) -> None:
        """One less. Its descriptor is still open."""
        connection.shares.connections -= 1
        del self._by_fd[connection.sock.fileno()]
        self._expected.pop(connection, None)

    def place(self, shares: Shares) -> tuple[str, Connection | None]:
        """Why there is no place for one more connection of `shares`, or ""; and who goes for it.

        In a full house that is the longest silent connection of the user who has most of them, one
        without an open run first; never that of a user who has few, or no more than the newcomer.
        """
        if shares.connections >= self._limits.of_one_user:
            return "this user has too many connections to the collector", None
        if len(self._by_fd) < self._limits.connections:
            return "", None
        most = max((c.shares for c in self._by_fd.values()), key=lambda one: one.connections)
        if most.connections <= max(self._limits.few, shares.connections + 1):
            return "the collector has no room for one more connection", None
        his = (c for c in self._by_fd.values() if c.shares is most)
        return "", min(his, key=lambda one: (bool(one.open), one.heard))

    def expect(self, connection: Connection) -> None:
        """A START, or the rest of a message, is to come from `connection`."""
        self._expected[connection] = None

    def until(self, now: float) -> float | None:
        """Seconds until `late` should be asked; None while nobody is expected to say anything."""
        return max(0.0, self._due - now) if self._expected else None

    def late(self, now: float) -> list[tuple[Connection, str]]:
        """Who is late, and with what. Asked more often than four times a second, nobody."""
        if now < self._due or not self._expected:
            return []
        self._due = now + PACE
        found = []
        for connection in list(self._expected):
            if not connection.fresh and not connection.since:
                del self._expected[connection]
            elif why := self._why(connection, now):
                found.append((connection, why))
        return found

    def _why(self, connection: Connection, now: float) -> str:
        if connection.throttled or connection.again:
            return ""  # it is we who do not read
        long = connection.held or connection.wants
        if connection.fresh and not long and now - connection.came > self._limits.greeting:
            return f"no run was begun on it for {self._limits.greeting:g} seconds"
        waits = connection.wants and not connection.fresh  # for us, not we for it
        if connection.since and not waits and now - connection.since > self._limits.patience:
            return "a message took too long to arrive"
        return ""
