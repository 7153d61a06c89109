"""`AsyncSandbox`: a sandbox for asyncio. The methods of `Sandbox`, awaited."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from contextlib import suppress
from functools import partial

from belljar.errors import SandboxEnded
from belljar.sandbox.live.box import Sandbox
from belljar.sandbox.live.questions import checked_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self, TypeVar

    from belljar.model import Policy, Status
    from belljar.sandbox.live.questions import Questions
    from belljar.sandbox.result import Result, Usage

    T = TypeVar("T")


#: Seconds that a call has to say itself how its guest ended.
_GRACE = 0.5


class AsyncQuestions:
    """As `belljar.sandbox.live.questions.Questions`, awaited."""

    def within(self, seconds: float) -> AsyncQuestions:
        """As `Sandbox.within`: `await box.within(2).call(...)`."""
        return _Within(self, checked_seconds(seconds))

    async def run(self, source: str, **about: Any) -> Result:
        """As `Sandbox.run`."""
        return await self._ask(
            lambda box: box.run(source, **about),
            lambda result: result.check() if about.get("check") else result,
        )

    async def eval(self, expression: str, **about: Any) -> Any:
        """As `Sandbox.eval`."""
        return await self._ask(lambda box: box.eval(expression, **about))

    async def call(self, function: str, /, *args: Any, **kwargs: Any) -> Any:
        """As `Sandbox.call`."""
        return await self._ask(lambda box: box.call(function, *args, **kwargs))

    async def put(self, name: str | None = None, value: Any = None, /, **names: Any) -> None:
        """As `Sandbox.put`."""
        await self._ask(lambda box: box.put(name, value, **names))

    async def get(self, name: str) -> Any:
        """As `Sandbox.get`."""
        return await self._ask(lambda box: box.get(name))

    async def reset(self) -> None:
        """As `Sandbox.reset`."""
        await self._ask(lambda box: box.reset())

    async def _ask(
        self, work: Callable[[Questions], T], late: Callable[[Result], T] | None = None
    ) -> T:
        raise NotImplementedError


class AsyncSandbox(AsyncQuestions):
    """As `Sandbox`, for a program that runs an event loop: same arguments, same methods, awaited.

    The guest starts with `async with`, `await start()`, or the first call. Cancelling a call (also
    by `asyncio.timeout`) ends the guest at once: whatever it was doing, nothing of it goes on.
    Functions that are shared with `async def` run on the loop that made the call; plain ones in
    another thread, so that they do not hold up the loop. Calls of one sandbox queue, those of
    different ones run side by side. When the guest ends, its call does, whatever a plain function
    that it called still does.

    >>> async with belljar.AsyncSandbox(read=["data/"]) as box:  # doctest: +SKIP
    ...     await box.eval("6 * 7")
    42
    """

    def __init__(
        self, policy: Policy | str | os.PathLike[str] | None = None, **options: Any
    ) -> None:
        self._make = partial(Sandbox, policy, **options)
        self._box: Sandbox | None = None
        self._starting: asyncio.Lock | None = None
        self._closed = False

    async def start(self) -> Self:
        """Start the guest, if it has not been. Raises as `Sandbox` does."""
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if self._closed:
                raise SandboxEnded("the sandbox is closed", "closed")
            if self._box is None:
                self._box = await _in_thread(self._make, _close_late)
        return self

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def share(self, name: str, obj: Any = None, **about: Any) -> Any:
        """As `Sandbox.share`; what is `async def` runs on this loop."""
        return await self._ask(lambda _box: self._started.share(name, obj, **about))

    async def fork(self, **about: Any) -> AsyncSandbox:
        """As `Sandbox.fork`: a branch that has started."""
        await self.start()
        box = self._started
        work = partial(box.fork, **about)
        made = AsyncSandbox()
        made._box = await _in_thread(work, _close_late, box.interrupt)
        return made

    def interrupt(self) -> None:
        """As `Sandbox.interrupt`."""
        if self._box is not None:
            self._box.interrupt()

    async def close(self) -> None:
        """As `Sandbox.close`."""
        self._closed = True
        box = self._box
        if box is not None:
            await _in_thread(box.close, None)

    @property
    def ended_by(self) -> str:
        """As `Sandbox.ended_by`."""
        return self._started.ended_by if self._box is not None else ""

    @property
    def status(self) -> Status:
        """As `Sandbox.status`; the guest must have started."""
        return self._started.status

    @property
    def usage(self) -> Usage:
        """As `Sandbox.usage`; the guest must have started."""
        return self._started.usage

    @property
    def result(self) -> Result | None:
        """As `Sandbox.result`."""
        return self._started.result

    @property
    def collected(self) -> dict[str, bytes]:
        """As `Sandbox.collected`."""
        return self._started.collected

    @property
    def _started(self) -> Sandbox:
        if self._box is None:
            raise SandboxEnded("the sandbox has not started", "")
        return self._box

    async def _ask(
        self, work: Callable[[Questions], T], late: Callable[[Result], T] | None = None
    ) -> T:
        """`late` makes of its end what is returned where a host function outlasts the guest."""
        if self._box is None or self._closed:
            await self.start()
        box = self._started
        loop = box._asking.objects.loop = asyncio.get_running_loop()
        guest, started = box._guest, time.monotonic()
        over = asyncio.Event()

        def ended() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(over.set)

        guest.watchers.append(ended)
        asked = asyncio.ensure_future(
            _in_thread(partial(work, box), lambda _result: None, box.interrupt)
        )
        watched = asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait((asked, watched), return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                await asyncio.wait((asked,), timeout=_GRACE)
            if asked.done():
                return await asked
            result = await _in_thread(partial(box._asking.given_up, started), None)
            if late is not None:
                return late(result)
            result.check()
            raise SandboxEnded(f"the sandbox has ended ({guest.ended_by})", guest.ended_by, result)
        finally:
            guest.watchers.remove(ended)
            for task in (asked, watched):
                task.cancel()
            await asyncio.gather(asked, watched, return_exceptions=True)

    def __repr__(self) -> str:
        return f"<Async{repr(self._box)[1:]}" if self._box else "<AsyncSandbox not started>"


class _Within(AsyncQuestions):
    """With a wall clock for each call."""

    def __init__(self, asked: AsyncQuestions, seconds: float) -> None:
        self._asked = asked
        self._seconds = seconds

    async def _ask(
        self, work: Callable[[Questions], T], late: Callable[[Result], T] | None = None
    ) -> T:
        return await self._asked._ask(lambda box: work(box.within(self._seconds)), late)


def _close_late(box: Sandbox) -> None:
    box.close()


async def _in_thread(
    work: Callable[[], T],
    unwanted: Callable[[T], object] | None,
    stop: Callable[[], object] | None = None,
) -> T:
    """The result of `work`, done in a thread of its own: no pool whose threads could all be taken
    by calls that wait for one another. When it is cancelled, `stop` is called, and a result that
    nobody takes goes to `unwanted`."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    given_up = threading.Event()
    owner = os.getpid()

    def tell(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):
            future.set_exception(RuntimeError("the call raised StopIteration"))
        else:
            future.set_exception(error)

    def run() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - it is raised where it is awaited
            error = raised
        if given_up.is_set():
            if error is None and unwanted is not None:
                unwanted(result)
            return
        try:
            loop.call_soon_threadsafe(tell, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            if error is None and unwanted is not None:
                unwanted(result)

    context = contextvars.copy_context()  # it may be a part of a call of the guest's
    thread = threading.Thread(target=context.run, args=(run,), name="belljar-call", daemon=True)
    thread.start()
    try:
        return await future
    except asyncio.CancelledError:
        given_up.set()
        if stop is not None and os.getpid() == owner:
            stop()
        raise
