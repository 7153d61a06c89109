"""Calling a host's function for a guest: at once, with a deadline, or as a coroutine."""

from __future__ import annotations

from time import monotonic

from belljar.sandbox.bridge.failures import Exited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any, Final

    from belljar.sandbox.bridge.exposure import Listed
    from belljar.sandbox.bridge.objects import Objects

#: How many calls of one method may go on after their time, before no more are begun.
STUCK: Final = 4
_LOOK: Final = 0.5  # seconds between looks whether the guest that waits has ended


def perform(
    listed: Listed, args: tuple[Any, ...], kwargs: dict[str, Any], objects: Objects
) -> object:
    """The result of one call, awaited where it is a coroutine.

    Raises what the function raises, and `TimeoutError` after the seconds of its limit. A coroutine
    runs on the `loop` of `objects` where that is running, else on a loop of its own.
    """
    seconds = listed.seconds
    if not listed.is_async and seconds is None:
        result = listed.call(*args, **kwargs)
        if not _is_awaitable(result):
            return result
        return _in_a_copy(lambda: _awaited(result, None, objects))

    def call() -> object:
        result = listed.call(*args, **kwargs)
        return _awaited(result, seconds, objects) if _is_awaitable(result) else result

    if listed.is_async or seconds is None:
        return _in_a_copy(call)
    return _in_a_copy(lambda: _within(seconds, call, listed.stuck, objects.gone))


def _in_a_copy(call: Callable[[], object]) -> object:
    """`call()` in a context of its own: what it sets there is nobody else's."""
    import contextvars

    return contextvars.copy_context().run(call)


def _is_awaitable(result: object) -> bool:
    return hasattr(type(result), "__await__")


def _late(seconds: float) -> TimeoutError:
    return TimeoutError(f"the call took longer than {seconds:g} seconds")


def _within(
    seconds: float, call: Callable[[], object], stuck: list[int], gone: Callable[[], object]
) -> object:
    """`call()` in a thread of its own, which is left to itself when the time is over, and when the
    guest that waits for it has gone."""
    if stuck[0] >= STUCK:
        raise TimeoutError("earlier calls have not ended yet")
    import contextvars
    import threading

    context = contextvars.copy_context()
    lock = threading.Lock()
    done = threading.Event()
    outcome: list[tuple[object, BaseException | None]] = []
    late = False

    def work() -> None:
        try:
            outcome.append((context.run(call), None))
        except BaseException as error:  # noqa: BLE001 - handed over to who waits
            outcome.append((None, error))
        with lock:
            if late:
                stuck[0] -= 1
            done.set()

    thread = threading.Thread(target=work, name="belljar-call", daemon=True)
    thread.start()
    end = monotonic() + seconds
    while not done.wait(min(_LOOK, max(0.0, end - monotonic()))):
        if monotonic() < end and not gone():
            continue
        with lock:
            late = not done.is_set()
            stuck[0] += late
        if late:
            raise _late(seconds) if monotonic() >= end else ReferenceError("the guest has ended")
        break
    result, error = outcome.pop()
    if error is not None:
        raise error
    return result


def _awaited(coroutine: Awaitable[object], seconds: float | None, objects: Objects) -> object:
    import asyncio

    loop = objects.loop
    end = None if seconds is None else monotonic() + seconds

    async def waiting() -> object:
        try:
            return await coroutine
        except SystemExit:  # of a task, it would end the loop
            raise Exited from None

    async def timed() -> object:
        task = asyncio.ensure_future(waiting())
        late = gone = False
        try:
            while not (late or gone):
                left = _LOOK if end is None else min(_LOOK, max(0.0, end - monotonic()))
                if (await asyncio.wait({task}, timeout=left))[0]:
                    return task.result()
                late, gone = end is not None and monotonic() >= end, bool(objects.gone())
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        raise _late(seconds or 0.0) if late else ReferenceError("the guest has ended")

    try:
        here: AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if loop is not None and loop.is_running() and here is not loop:
        return _on(loop, timed)
    if here is None:
        return asyncio.run(timed())
    # this thread's loop waits for us: the coroutine needs another thread
    return _within(1e9, lambda: asyncio.run(timed()), [0], objects.gone)


def _on(loop: AbstractEventLoop, timed: Callable[[], Coroutine[Any, Any, object]]) -> object:
    """The result of a task on a loop that runs in another thread, with this thread's context."""
    import asyncio
    import concurrent.futures
    import contextvars

    future: concurrent.futures.Future[object] = concurrent.futures.Future()
    context = contextvars.copy_context()
    tasks: list[asyncio.Task[object]] = []

    def ended(task: asyncio.Task[object]) -> None:
        if task.cancelled():
            future.set_exception(TimeoutError("the host has ended the call"))
        elif (error := task.exception()) is not None:
            future.set_exception(error)
        else:
            future.set_result(task.result())

    def begin() -> None:
        task = loop.create_task(timed(), context=context)
        tasks.append(task)
        task.add_done_callback(ended)

    loop.call_soon_threadsafe(begin)
    try:
        return future.result()
    except BaseException:
        if not future.done():
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        raise
