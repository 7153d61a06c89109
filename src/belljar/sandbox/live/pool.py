"""Guests that are ready before anybody asks for them: built, confined, waiting at the bridge.

For each (template, policy, directory) that is asked for again, some are kept, made in the
background. None has run any code but the template's and our first lines; none has a record. When
one is handed out, the plan is made anew and compared: one that would be built otherwise now is
thrown away, and so is every one when the host's mounts have changed.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from contextlib import suppress

from belljar.errors import BelljarError
from belljar.sandbox.live import cold
from belljar.sandbox.live.asking import Asking
from belljar.sandbox.live.now import Mounts, is_room, may_wait, whose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from belljar.confine.program import Program
    from belljar.confine.template import Template
    from belljar.model import Policy, Status
    from belljar.sandbox.live.guest import Guest
    from belljar.sandbox.result import Denial

    Key = tuple[object, ...]

#: How many may be ready at once, of all plans, and of how many plans is known that they came.
MOST: Final = 32
_PLANS: Final = 64
#: Ready guests of a plan, where the template says nothing: they go when nobody wants them so long.
USUAL: Final = 1
IDLE: Final = 60.0
#: Seconds without anything to watch after which the thread ends.
_LINGER: Final = 2.0
#: How often in a row a plan may fail before it is left alone for as long as `IDLE`.
_PATIENCE: Final = 3
_FAREWELL: Final = 10.0


class Slot:
    """The ready guests of one plan."""

    def __init__(
        self, policy: Policy, program: Program, warmed: Template, most: int | None, owner: Key
    ) -> None:
        self.owner = owner  # as `whose` says
        self.policy = policy
        self.program = program
        self.warmed = warmed
        self.most = most  # as the template says
        self.asked = 0
        self.failed = 0
        self.not_before = 0.0
        self.used = 0.0
        self.guests: list[Guest] = []

    def fails(self, times: int = 1) -> None:
        """So often, it did not work; too often in a row, and a while passes before the next."""
        self.failed += times
        if self.failed >= _PATIENCE:
            self.failed = 0
            self.not_before = time.monotonic() + IDLE

    @property
    def lacks(self) -> int:
        """How many are missing."""
        if self.asked < (2 if self.most is None else 1) or time.monotonic() < self.not_before:
            return 0
        if self.most is None and time.monotonic() - self.used > IDLE:
            return 0
        return min(MOST, USUAL if self.most is None else self.most) - len(self.guests)


class Pool:
    """`take` what is ready; what was taken is made again, by a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._making = threading.RLock()  # held while descriptors are made that a fork would copy
        self._slots: dict[Key, Slot] = {}  # the least lately asked first
        self._gone: deque[Guest] = deque()  # to be put away
        #: on their way to an owner, and since when: an interrupt may have come instead
        self._handed: deque[tuple[float, Guest]] = deque()
        self._thread: threading.Thread | None = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._mounts = Mounts()
        self._half: cold.Raised | Guest | None = None
        self._era = 0  # of the host's mounts
        self._over = False

    def take(
        self, policy: Policy, program: Program, tell: Callable[[Denial, Status], None],
        warmed: Template, most: int | None,
    ) -> Guest | None:  # fmt: skip
        """One that is ready, and from now on `program`'s; None where there is none. `most` are to
        be ready (None: as usual). Raises as an engine does."""
        if most == 0 or program.branches or not may_wait(policy):
            return None
        plain = program.replace(name="", args=())
        owner = whose()
        key = (warmed, policy, plain, owner)
        with self._lock:
            slot = self._slots.pop(key, None) or Slot(policy, plain, warmed, most, owner)
            self._slots[key] = slot
            slot.asked += 1
            slot.used = time.monotonic()
            if self._mounts.changed():
                self._era += 1
                for one in self._slots.values():
                    self._drop(one)
            self._bound()
            waiting = slot.guests
        while waiting:
            try:
                guest = waiting[0]
                self._handed.append((time.monotonic(), guest))
                waiting.remove(guest)
            except (IndexError, ValueError):
                continue  # another thread was quicker
            try:
                if guest.given(program, tell):
                    return guest
            except BaseException:
                self._leave(guest)
                self.work()
                raise
            self._leave(guest)
        return None

    def work(self) -> None:
        """Make what is missing and put away what is left, in the background. To be called when the
        sandbox that was asked for has come to its first result: it does not wait for another."""
        with self._lock:
            slots = self._slots.values()
            if self._over or not (self._gone or any(slot.lacks > 0 for slot in slots)):
                return
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._work, name="belljar-ready", daemon=True)
                with suppress(RuntimeError):  # no thread can be had: none is ready then
                    thread.start()
                    self._thread = thread
            else:
                os.eventfd_write(self._wake, 1)

    def drop(self, warmed: Template) -> None:
        """None of its guests is wanted any longer; they have ended when this returns."""
        with self._lock:
            mine = [key for key, slot in self._slots.items() if slot.warmed is warmed]
            slots = [self._slots.pop(key) for key in mine]
        with self._making:  # what is half made is of a plan that is not known any more
            _discard([guest for slot in slots for guest in slot.guests])

    def ready(self) -> int:
        """How many wait now."""
        with self._lock:
            return sum(len(slot.guests) for slot in self._slots.values())

    def close(self, *, for_good: bool = False) -> None:
        """End all, and the thread. It may be used again, but where it is `for_good`."""
        self._over = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            os.eventfd_write(self._wake, 1)
            thread.join(_FAREWELL)
        with self._lock:
            left = [guest for slot in self._slots.values() for guest in slot.guests]
            self._slots.clear()
            left += self._lost(0.0)
        _discard([*left, *self._gone])
        self._gone.clear()
        self._over = for_good

    def hold(self) -> None:
        """Before a fork: nothing that is half made is copied."""
        self._making.acquire()
        self._lock.acquire()

    def let_go(self) -> None:
        """After it, in the parent."""
        self._lock.release()
        self._making.release()

    def abandon(self) -> None:
        """In a child that the host forked: close what was copied."""
        for guest in [guest for slot in self._slots.values() for guest in slot.guests]:
            guest.abandon()
        if self._half is not None:
            self._half.abandon()
        self._mounts.close()
        os.close(self._wake)

    # --- the thread -----------------------------------------------------------------------

    def _work(self) -> None:
        idle_since = time.monotonic()
        while True:
            _discard(self._lost(IDLE))
            while self._gone:
                _discard([self._gone.popleft()])
            while not self._over and (slot := self._wanting()) is not None:
                self._fill(slot)
            if not self._gone:
                self._rest()
            with self._lock:
                slots = self._slots.values()
                busy = bool(self._gone) or any(one.guests or one.lacks > 0 for one in slots)
                if busy:
                    idle_since = time.monotonic()
                if self._over or (not busy and time.monotonic() - idle_since > _LINGER):
                    self._thread = None
                    return

    def _rest(self) -> None:
        """Until there is something to do; what ended or is wanted by nobody is let go."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        with self._lock:
            slots = list(self._slots.values())
            for slot in slots:
                for guest in slot.guests:
                    poll.register(guest.walls.keeper.report, select.POLLIN)
        left = IDLE if any(slot.guests for slot in slots) else _LINGER
        ready = {fd for fd, _ in poll.poll(left * 1000)}
        if self._wake in ready:
            with suppress(BlockingIOError):  # another thread has read it
                os.eventfd_read(self._wake)
        now = time.monotonic()
        with self._lock:
            for slot in slots:
                late = slot.most is None and now - slot.used > IDLE
                for guest in list(slot.guests):
                    if not (late or guest.walls.keeper.report in ready):
                        continue
                    try:
                        slot.guests.remove(guest)
                    except ValueError:
                        continue  # it is somebody's meanwhile
                    if not late:
                        slot.fails()
                    self._gone.append(guest)

    def _wanting(self) -> Slot | None:
        with self._lock:
            for slot in reversed(self._slots.values()):
                if slot.lacks > 0:
                    return slot
        return None

    def _fill(self, slot: Slot) -> None:
        """One more. What fails is told to whoever makes such a sandbox in the ordinary way."""
        era = self._era
        if not slot.warmed.pid or not is_room() or whose() != slot.owner:
            slot.fails(_PATIENCE)
            return
        guest = None
        try:
            with self._making:
                self._half = raised = cold.rise(
                    slot.policy, slot.program, _nobody, slot.warmed, owned=False
                )
            self._half = guest = cold.begin(raised)
            asking = guest.asking = Asking(guest)
            asking.value("get", "None", None)  # the way there and back is trodden, nothing is run
            asking.start_over()
        except (BelljarError, OSError):
            slot.fails()
            if guest is not None:
                _discard([guest])
            self._half = None
            return
        with self._lock:
            known = any(slot is one for one in self._slots.values())
            if self._over or not known or era != self._era or whose() != slot.owner:
                self._gone.append(guest)
            else:
                slot.guests.append(guest)
                slot.failed = 0
            self._half = None

    # --- what goes --------------------------------------------------------------------------

    def _lost(self, patience: float) -> list[Guest]:
        """Of those that were handed out so many seconds ago, those that came to nobody."""
        from belljar.sandbox.live.supervisor import supervisor

        lost, owned = [], supervisor().guests
        for _ in range(len(self._handed)):
            since, guest = one = self._handed.popleft()
            if guest.over.is_set() or guest in owned:
                continue
            if time.monotonic() - since >= patience:
                lost.append(guest)
            else:
                self._handed.append(one)
        return lost

    def _leave(self, guest: Guest) -> None:
        guest.end("closed")
        self._gone.append(guest)

    def _drop(self, slot: Slot) -> None:
        for guest in slot.guests:
            guest.end("closed")
        self._gone += slot.guests
        slot.guests = []

    def _bound(self) -> None:
        """Too many plans, or too many ready: those that were asked for least lately go."""
        while len(self._slots) > _PLANS:
            self._drop(self._slots.pop(next(iter(self._slots))))
        total = sum(len(slot.guests) for slot in self._slots.values())
        for slot in list(self._slots.values())[:-1]:
            if total < MOST:
                break
            total -= len(slot.guests)
            self._drop(slot)


def _nobody(_denial: Denial, _receipt: Status) -> None:
    """It is told when the guest is somebody's."""


def _discard(guests: list[Guest]) -> None:
    for guest in guests:  # all at once, then each
        guest.end("closed")
    for guest in guests:
        try:
            guest.discard()
        except (BelljarError, OSError):
            continue  # nobody asked for it: nobody is to hear that its end went wrong
