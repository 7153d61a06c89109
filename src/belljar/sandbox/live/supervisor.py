"""One daemon thread watches all live guests of this process: their records, their output while
nobody waits, their clocks and their ends. It calls no code of the guest's and none of the bridge.
"""

from __future__ import annotations

import atexit
import os
import select
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.sandbox.live.guest import Guest

#: Seconds between two looks at the clocks.
_DOZE: Final = 0.25
#: After a look at nothing but events: more are likely, and a writer that wakes nobody is quicker.
_NAP: Final = 0.002
#: Seconds without any guest after which the thread ends.
_LINGER: Final = 2.0
#: Seconds that the ends of all guests may take when the host's interpreter ends.
_FAREWELL: Final = 10.0


class Supervisor:
    """`add` a guest; it is let go of when it has ended."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._lock = threading.Lock()
        self._guests: dict[int, Any] = {}  # by descriptor
        self._alive: dict[int, Any] = {}  # by identity: guests, and families of them
        self._thread: threading.Thread | None = None

    def add(self, guest: Guest) -> None:
        """Watch `guest` from here on."""
        with self._lock:
            for one in guest.watched():
                if id(one) not in self._alive:
                    self._alive[id(one)] = one
                    for fd in one.descriptors():
                        self._guests[fd] = one
                        self._epoll.register(fd, select.EPOLLIN)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="belljar-supervisor", daemon=True
                )
                self._thread.start()

    def follow(self, guest: Guest, fd: int) -> None:
        """One more descriptor of a guest that is watched; else it will be, with the others."""
        with self._lock:
            if id(guest) in self._alive:
                self._guests[fd] = guest
                self._epoll.register(fd, select.EPOLLIN)

    @property
    def guests(self) -> tuple[Guest, ...]:
        """Those that have not ended."""
        with self._lock:
            return tuple(one for one in self._alive.values() if one.is_guest)

    def _all(self) -> list[Any]:
        with self._lock:
            return list(self._alive.values())

    def is_this_thread(self) -> bool:
        """Whoever waits for a guest's end in this thread waits for ever."""
        return self._thread is threading.current_thread()

    def _watch(self) -> None:
        idle_since = time.monotonic()
        looked = 0.0
        busy = 0
        while True:
            ready = self._epoll.poll(_DOZE)
            answers = False
            only_events = True
            due = [(fd, self._guests[fd]) for fd, _ in ready if fd in self._guests]
            for fd, guest in due:
                if fd not in self._guests or self._guests[fd] is not guest:
                    continue  # it ended meanwhile, and the number may be another's
                before = guest.walls.collector.answered
                self._attend(guest, fd)
                answers = answers or guest.walls.collector.answered > before
                only_events = only_events and guest.is_channel(fd)
            now = time.monotonic()
            if now - looked >= _DOZE / 2:
                looked = now
                for guest in self._all():
                    self._check(guest, now)
            if self._alive:
                idle_since = now
            elif now - idle_since > _LINGER and self._retire():
                return
            busy = busy + 1 if ready and only_events and not answers else 0
            if busy > 1:
                time.sleep(_NAP)

    def _attend(self, guest: Any, fd: int) -> None:
        try:
            goes_on = guest.attend(fd)
        except BaseException as error:  # noqa: BLE001 - no guest goes on that cannot be recorded
            guest.failure = guest.failure or error
            guest.end("failed")
            goes_on = False
        if not goes_on:
            with self._lock:
                self._forget(fd)
        for one in guest.finished():
            self._put_away(one)

    def _put_away(self, guest: Any) -> None:
        with self._lock:
            if self._alive.pop(id(guest), None) is None:
                return
            for known in [f for f, whose in self._guests.items() if whose is guest]:
                self._forget(known)
        try:
            guest.put_away()
            if guest.let_go is not None:
                guest.let_go()
        except BaseException as error:  # noqa: BLE001 - told to whoever asks the guest next
            guest.failure = guest.failure or error
        guest.serve = guest.let_go = None  # they hold what the user shared

    def _check(self, guest: Any, now: float) -> None:
        try:
            guest.check(now)
            guest.serve_idle()
        except Exception as error:  # noqa: BLE001 - a clock that cannot be read does not run
            guest.failure = guest.failure or error
            guest.end("failed")
        for one in guest.finished():
            self._put_away(one)

    def _forget(self, fd: int) -> None:
        if self._guests.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def _retire(self) -> bool:
        with self._lock:
            if self._alive:
                return False
            self._thread = None
            return True

    def abandon(self) -> None:
        """In a child that the host forked: the guests are the parent's."""
        self._epoll.close()
        for guest in set(self._guests.values()):
            guest.abandon()


_supervisors: list[Supervisor] = []
_making = threading.Lock()


def supervisor() -> Supervisor:
    """The one of this process."""
    with _making:
        if not _supervisors:
            _supervisors.append(Supervisor())
            if not _registered:
                _registered.append(True)
                atexit.register(_farewell)
                os.register_at_fork(after_in_child=_in_child)
        return _supervisors[0]


_registered: list[bool] = []


def _farewell() -> None:
    """The host's interpreter ends: so do all guests."""
    for one in _supervisors:
        guests = one._all()
        for guest in guests:
            guest.end("closed")
        until = time.monotonic() + _FAREWELL
        for guest in guests:
            guest.over.wait(max(0.0, until - time.monotonic()))


def _in_child() -> None:
    globals()["_making"] = threading.Lock()  # a thread that is no more may have held it
    while _supervisors:
        _supervisors.pop().abandon()
