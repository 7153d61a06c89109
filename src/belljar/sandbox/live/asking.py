"""One guest asked by the host's threads: whose turn it is, how long that may take, what came."""

from __future__ import annotations

import os
import threading
import time

from belljar.errors import BelljarError, GuestEnded, GuestError, GuestProtocolError, SandboxEnded
from belljar.sandbox.bridge.objects import Objects
from belljar.sandbox.live.answers import Answer, Opaque, read_answer
from belljar.sandbox.live.buffers import Buffers
from belljar.sandbox.live.crossing import LargePeer
from belljar.sandbox.live.supervisor import supervisor
from belljar.sandbox.live.turn import Turn
from belljar.sandbox.result import Result, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from belljar.sandbox.live.guest import Guest

#: Seconds in which an ended guest is put away, on a machine that does much else.
_PATIENCE = 30.0
#: And in which one ends that has closed its bridge.
_GRACE = 1.0


class Asking:
    """The calls into one guest. The calling thread does the bridge itself."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.objects = objects = Objects(guest.note_call)
        room = Buffers(guest.policy.limits.memory)
        self.peer = LargePeer(
            guest.bridge, objects.serve, room, None, objects.refer, objects.resolve
        )
        objects.attach(self.peer)
        objects.gone = lambda: guest.ended_by
        objects.asks, objects.misspoke = self.lent, self._misspoke
        guest.serve = self.serve_waiting
        guest.unread = lambda: objects.peer is not None and objects.peer.pending
        guest.let_go = self.close
        self._turn = Turn()
        self._counting = threading.Lock()  # threads of one call may ask at once
        self._depth = 0
        self._calls = 0

    def result(self, op: str, body: Any, timeout: float | None, events: bool = True) -> Result:
        """What came of one request, whatever it was."""
        return self._result(op, body, timeout, events)[0]

    def _result(
        self, op: str, body: Any, timeout: float | None, events: bool
    ) -> tuple[Result, bool]:
        """The same, and whether the guest answered: one that exits with 0 has not."""
        self._check_owner()  # before any lock: a thread that the fork left behind may hold it
        if self.objects.part_of() is not None:  # another thread of a call that has the turn
            self._check_alive()
            return self._asked(op, body, timeout, events)
        inside = self._turn.take(self._look, self.objects.part_of_one)
        if inside is not None:  # who has the turn waits for this thread
            token = self.objects.inside.set(inside)
            try:
                return self._asked(op, body, timeout, events)
            finally:
                self.objects.inside.reset(token)
        try:
            self._check_alive()
            return self._asked(op, body, timeout, events)
        finally:
            self._turn.leave()

    def _look(self) -> None:
        """What a thread that waits for its turn looks at. Raises where waiting is of no use."""
        guest = self.guest
        self._check_alive()
        if guest.teller is not None and guest.teller.is_this_thread():
            raise BelljarError(_CALLBACK)
        if threading.current_thread() is guest.feeder:
            raise BelljarError(_CALLBACK)

    def value(self, op: str, body: Any, timeout: float | None) -> Any:
        """The value that it had. Raises what it raised, and `SandboxEnded` when the guest ended."""
        result, answered = self._result(op, body, timeout, events=False)
        if not answered and result.ended_by == "exit":
            raise ended(self.guest)
        if result.error is not None or result.ended_by != "exit" or result.status:
            result.check()
        return result.value

    def call(self, function: object, args: Any, kwargs: Any, timeout: float | None) -> Any:
        """Call one of the guest's functions."""
        args, kwargs = self.objects.arguments(args, kwargs)
        return self.value("call", (function, args, kwargs), timeout)

    def lent(self, op: str, body: Any, seconds: float | None) -> Any:
        """Use what the guest lent (a function of it, an iterator): a call like others, but that it
        does not queue: it may be a part of one. Raises what the guest raised, `SandboxEnded` when
        the guest ends, and `TimeoutError` where that is for `seconds`."""
        self._check_owner()
        guest = self.guest
        if guest.over.is_set():
            raise ReferenceError("the guest that lent it has ended")
        started = time.monotonic()
        wall = guest.policy.limits.wall
        self._begin(started + wall)
        try:
            until = started + (wall if seconds is None else min(wall, seconds))
            return self.peer.request_for(self.objects.part_of(), op, body, until)
        except TimeoutError:
            guest.end("wall")
            if seconds is not None and seconds < wall:
                raise
        except GuestProtocolError as error:
            self._misspoke(error)
        except GuestEnded:
            pass
        except GuestError:
            raise
        except BaseException as error:
            self._broken_off(error)
            raise
        finally:
            self._finish()
        self._await_end()
        raise guest.failure or ended(guest)

    def serve_waiting(self) -> None:
        """Answer threads of the guest that ask while nobody waits for it; in a thread for that."""
        try:
            self.peer.serve_waiting()
        except GuestProtocolError as error:
            self.guest.misspoke(error)
        except GuestEnded:
            return

    def start_over(self) -> None:
        """What was asked so far was not asked by its owner: there is none yet."""
        self._calls = 0

    def given_up(self, started: float) -> Result:
        """What a call that began at `started` comes to where the guest has ended, and a host
        function that it called goes on."""
        return self._end(started, 0.0)

    def close(self) -> None:
        """Let go of the bridge and of all that was shared."""
        self.peer.close()
        self.objects.close()

    def _check_owner(self) -> None:
        if os.getpid() != self.guest.owner:
            raise SandboxEnded("this sandbox belongs to the process that forked this one", "forked")

    def _check_alive(self) -> None:
        guest = self.guest
        self._check_owner()
        if guest.over.is_set():
            raise guest.failure or ended(guest)
        if supervisor().is_this_thread():
            raise BelljarError("a callback of the supervisor cannot wait for a sandbox")

    def _asked(
        self, op: str, body: Any, timeout: float | None, events: bool
    ) -> tuple[Result, bool]:
        try:
            return self._ask(op, body, timeout, events)
        except Exception:
            raise
        except BaseException:  # an interrupt between two steps: nothing counts on what is half done
            self.guest.end("interrupt")
            raise

    def _ask(self, op: str, body: Any, timeout: float | None, events: bool) -> tuple[Result, bool]:
        guest = self.guest
        started = time.monotonic()
        wall = guest.policy.limits.wall
        deadline = started + (wall if timeout is None else min(wall, timeout))
        self._begin(deadline)
        if self._depth == 1:
            self._calls += 1
        cpu = guest.clocks.used()
        if op == "run" and not body[1]:
            body = (body[0], f"<run {self._calls}>", body[2])
        if events:
            guest.begin_events()
        answer = None
        try:
            answer = self._request(op, body, deadline)
        finally:
            self._finish()
            cpu = guest.clocks.used() - cpu
        guest.settle(events=events)
        if guest.first is not None:
            guest.is_answered()
        if guest.teller is not None and not guest.teller.wait(deadline - time.monotonic()):
            guest.end("wall")  # of the same call
        if answer is None or not guest.alive:
            return self._end(started, cpu), False
        return self._made(answer, started, cpu), True

    def _begin(self, deadline: float) -> None:
        with self._counting:
            self._depth += 1
            if self._depth == 1:
                self.guest.clocks.begin(deadline)

    def _finish(self) -> None:
        with self._counting:
            self._depth -= 1
            if self._depth == 0 and self.guest.clocks.end() > self.guest.policy.limits.cpu:
                self.guest.end("cpu")

    def _misspoke(self, error: GuestProtocolError) -> NoReturn:
        """The guest sent what may not be: it is ended, and that is what its caller gets."""
        self.guest.misspoke(error)
        self._await_end()
        raise self.guest.failure or ended(self.guest) from error

    def _broken_off(self, error: BaseException) -> None:
        """What a host function raised, or an interrupt, goes on to the caller."""
        if self.peer.over is not None:  # nothing more can be asked: it ends
            self.guest.end("interrupt" if isinstance(error, KeyboardInterrupt) else "failed")

    def _request(self, op: str, body: Any, deadline: float) -> Answer | None:
        """The answer; None where the guest has ended, or is to."""
        guest = self.guest
        try:
            answer = self.peer.request_for(self.objects.part_of(), op, body, deadline)
            return read_answer(answer) if op in _ANSWERS else Answer(answer)
        except GuestEnded:
            return None
        except TimeoutError:
            guest.end("wall")
            return None
        except GuestProtocolError as error:
            guest.misspoke(error)
            return None
        except GuestError as error:  # not of the guest's code, whose errors are answers
            if op == "run" and body[2] == "exec" and error.type_name == "Unsendable":
                return Answer(Opaque(error.message))
            return Answer(status=1, error=error)
        except BaseException as error:
            self._broken_off(error)
            raise

    def _made(self, answer: Answer, started: float, cpu: float) -> Result:
        guest = self.guest
        with guest.lock:
            output = guest.output.take(answer.turns)
            denials, alerts, repeated, events, frames = guest.since()
        size = sum(len(data) for _, data in output)
        usage = Usage(time.monotonic() - started, 0.0, 0.0, 0, size, events, cpu)
        record = guest.walls.record
        return Result(
            answer.status, "exit", guest.walls.receipt, usage, 0, denials, alerts, repeated, 0,
            record.directory if record is not None else None, guest.walls.run_id.hex(), 0, (), (),
            output, answer.value, answer.error, frames,
        )  # fmt: skip

    def _await_end(self) -> None:
        guest = self.guest
        if not guest.over.wait(_GRACE):
            guest.end("lost")  # it closed the bridge, and runs on
        if not guest.over.wait(_PATIENCE):
            raise BelljarError("the sandbox does not end; its keeper does not answer")

    def _end(self, started: float, cpu: float) -> Result:
        """The guest has ended during the call: how, as the result of the call."""
        guest = self.guest
        self._await_end()
        if guest.result is None:
            raise guest.failure or ended(guest)
        if guest.teller is not None:
            guest.teller.wait(_GRACE)  # the last of its output
        if guest.failure is not None:
            raise guest.failure
        with guest.lock:
            output = guest.output.take()
            denials, alerts, repeated, events, frames = guest.since()
        size = sum(len(data) for _, data in output)
        usage = Usage(time.monotonic() - started, 0.0, 0.0, 0, size, events, cpu)
        whole: Result = guest.result.replace(
            usage=usage, denials=denials, alerts=alerts, repeated=repeated, output=output,
            frames=frames,
        )  # fmt: skip
        return whole


_CALLBACK = (
    "a callback (on_output=, on_denial=, stdin=...) cannot ask its own sandbox during a call: the"
    " call waits for it; ask when the call has returned"
)

#: Operations whose answers are `(how, value, turns)`.
_ANSWERS = frozenset(("run", "call", "get"))


def ended(guest: Guest) -> SandboxEnded:
    """The error for a question to a guest that has ended."""
    why = f"{guest.ended_by}: {guest.reason}" if guest.ended_by == "protocol" else guest.ended_by
    return SandboxEnded(f"the sandbox has ended ({why})", guest.ended_by, guest.result)
