"""`SandboxExecutor`: a `concurrent.futures.Executor` whose workers are sandboxes.

A drop-in for `ProcessPoolExecutor`: the same methods mean the same. Nothing is pickled: functions
travel by import path or as source (see `travel`), arguments and results as data or shared memory.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
import weakref
from concurrent.futures import BrokenExecutor, Executor, Future

from belljar.adapters.travel import importable_by, pack
from belljar.errors import BelljarError, SandboxEnded
from belljar.policy.keywords import base

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Final, TypeVar

    from belljar.adapters.travel import Travelling
    from belljar.model import Policy

    T = TypeVar("T")

#: Runs a function's source as a module of its own in the guest.
_DEFINE: Final = (
    "def _define(name, source):\n"
    "    import sys\n"
    "    module = type(sys)(name)\n"
    "    exec(compile(source, '<%s>' % name, 'exec'), module.__dict__)\n"
    "    sys.modules[name] = module\n"
    "_define({name!r}, {source!r})\n"
    "del _define\n"
)


class WorkerEnded(SandboxEnded, BrokenExecutor):
    """The sandbox in which a call ran has ended: by a limit, a signal, or the call itself. Only
    this call is lost; its worker is replaced. `ended_by` and `result` are those of `SandboxEnded`.
    """


class _Item:
    __slots__ = ("args", "future", "how", "kwargs")

    def __init__(self, how: Travelling, args: Any, kwargs: Any) -> None:
        self.future: Future[Any] = Future()
        self.how = how
        self.args = args
        self.kwargs = kwargs


class _Shared:
    """What the executor and its workers have in common; the workers do not keep the executor."""

    def __init__(self, make: Callable[[], Any], most: int | None) -> None:
        self.make = make
        self.most = most
        self.queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self.idle = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.prepare: _Item | None = None
        self.broken = ""
        self.closed = False


class SandboxExecutor(Executor):
    """Runs functions in sandboxes under `policy`, `max_workers` of them at a time (as many as
    processors, if not given), started when they are needed and kept for further calls.

    `submit(function, *args, **kwargs)` takes a function, or its import path ("module:function").
    What a call raises in the guest is a `GuestError` of its future; a guest that ends during a call
    is `WorkerEnded`, a `BrokenExecutor`, of that future alone. The policy's `cpu` and `wall` count
    for each call. `max_tasks_per_child=1` gives every call a guest of its own. `initializer` is
    called once in each guest; if it fails, the executor is broken, as a `ProcessPoolExecutor` is.
    Other keywords are those of `belljar.Sandbox`.

    Raises `CannotTravel`, a `TypeError`, from `submit` for a function that cannot get in;
    `RuntimeError` after `shutdown`.

    >>> with SandboxExecutor(max_workers=2) as pool:  # doctest: +SKIP
    ...     list(pool.map("math:factorial", range(5)))
    [1, 1, 2, 6, 24]
    """

    def __init__(
        self,
        policy: Policy | str | os.PathLike[str] | None = None,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | str | None = None,
        initargs: tuple[Any, ...] = (),
        max_tasks_per_child: int | None = None,
        sandbox: Callable[..., Any] | None = None,
        modules: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        if max_workers is None:
            max_workers = len(os.sched_getaffinity(0))
        if max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if max_tasks_per_child is not None and max_tasks_per_child <= 0:
            raise ValueError("max_tasks_per_child must be >= 1")
        if modules:
            options["modules"] = dict(modules)
        if policy is not None:
            policy = base(policy)
        made = sandbox or _sandbox()
        self._max_workers = max_workers
        self._shared = _Shared(lambda: made(policy, **options), max_tasks_per_child)
        self._importable = importable_by(_granted(policy, options), modules or ())
        if initializer is not None:
            self._shared.prepare = _Item(pack(initializer, self._importable), initargs, {})
        self._threads: list[threading.Thread] = []
        _alive.add(self._shared)
        weakref.finalize(self, _close, self._shared).atexit = False

    def submit(self, fn: Callable[..., T] | str, /, *args: Any, **kwargs: Any) -> Future[T]:
        """As `Executor.submit`; `fn` may be an import path."""
        how = pack(fn, self._importable)
        shared = self._shared
        with shared.lock:
            if shared.broken:
                raise BrokenExecutor(shared.broken)
            if shared.closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            item = _Item(how, (*how.args, *args), {**how.kwargs, **kwargs})
            shared.queue.put(item)
            self._one_more()
        return item.future

    def map(  # type: ignore[override]
        self, fn: Callable[..., T] | str, /, *iterables: Iterable[Any], **about: Any
    ) -> Iterable[T]:
        """As `Executor.map`; `chunksize` changes nothing."""
        return super().map(fn, *iterables, **about)  # type: ignore[arg-type]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As `Executor.shutdown`: nothing new is taken; what was submitted is still done, unless it
        is cancelled. With `wait`, the guests have ended when it returns."""
        shared = self._shared
        with shared.lock:
            if cancel_futures:
                _cancel(shared)
            _close(shared)
        if wait:
            for thread in self._threads:
                thread.join()

    def _one_more(self) -> None:
        """A worker for what was submitted: one that waits, or a new one."""
        if self._shared.idle.acquire(blocking=False) or len(self._threads) >= self._max_workers:
            return
        name = f"belljar-worker-{next(_numbers)}"
        thread = threading.Thread(target=_work, args=(self._shared,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)
        _threads.add(thread)


def _sandbox() -> Callable[..., Any]:
    from belljar.sandbox.live.box import Sandbox

    return Sandbox


def _granted(policy: Policy | None, options: Mapping[str, Any]) -> list[str]:
    names = [] if policy is None else [g.target for g in policy.grants if g.right == "import"]
    for key in ("import_", "import"):
        given = options.get(key) or ()
        names += [given] if isinstance(given, str) else given
    return [name.partition(".")[0] for name in names]


def _close(shared: _Shared) -> None:
    """The workers end when nothing is left to do."""
    if not shared.closed:
        shared.closed = True
        shared.queue.put(None)
    _alive.discard(shared)


def _cancel(shared: _Shared) -> None:
    while True:
        try:
            item = shared.queue.get_nowait()
        except queue.Empty:
            return
        if item is None:
            shared.queue.put(None)
            return
        if item.future.cancel():
            item.future.set_running_or_notify_cancel()  # who waits for it is told


def _work(shared: _Shared) -> None:
    """One worker: a sandbox, as long as it lives, and another one then."""
    worker = _Worker(shared)
    try:
        while True:
            try:
                item = shared.queue.get_nowait()
            except queue.Empty:
                shared.idle.release()
                item = shared.queue.get()
            if item is None:
                shared.queue.put(None)  # for the next one
                return
            if item.future.set_running_or_notify_cancel():
                worker.do(item)
            del item  # its result is not kept until the next one comes
    finally:
        worker.close()


class _Worker:
    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._box: Any = None
        self._has: set[str] = set()  # modules that the guest was given
        self._done = 0

    def do(self, item: _Item) -> None:
        if self._shared.broken:
            item.future.set_exception(BrokenExecutor(self._shared.broken))
            return
        try:
            box = self._guest()
            value = self._call(box, item)
        except SandboxEnded as error:
            self.close()
            item.future.set_exception(_ended(error))
        except BaseException as error:  # noqa: BLE001 - the future's, as the standard library does
            item.future.set_exception(error)
        else:
            item.future.set_result(value)
        self._done += 1
        if self._shared.most is not None and self._done >= self._shared.most:
            self.close()

    def _guest(self) -> Any:
        if self._box is not None and self._box.ended_by:
            self.close()  # it ended between two calls
        if self._box is None:
            self._box = self._shared.make()
            prepare = self._shared.prepare
            if prepare is not None:
                try:
                    self._call(self._box, prepare)
                except BaseException as error:
                    self._break(error)
                    raise BrokenExecutor(self._shared.broken) from error
        return self._box

    def _call(self, box: Any, item: _Item) -> Any:
        how = item.how
        if how.module and how.module not in self._has:
            source = _DEFINE.format(name=how.module, source=how.source)
            box.run(source, filename=f"<{how.module}>", check=True)
            self._has.add(how.module)
        return box.call(how.target, *item.args, **item.kwargs)

    def _break(self, error: BaseException) -> None:
        shared = self._shared
        with shared.lock:
            shared.broken = f"the initializer failed in a sandbox: {error}"
            while True:
                try:
                    item = shared.queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    shared.queue.put(None)
                    break
                if item.future.set_running_or_notify_cancel():
                    item.future.set_exception(BrokenExecutor(shared.broken))

    def close(self) -> None:
        box, self._box, self._done = self._box, None, 0
        self._has.clear()
        if box is not None:
            box.close()


def _ended(error: SandboxEnded) -> WorkerEnded:
    made = WorkerEnded(*error.args)
    made.__dict__.update(error.__dict__)
    made.__cause__ = error
    return made


_numbers = itertools.count(1)
_alive: weakref.WeakSet[_Shared] = weakref.WeakSet()
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def _at_exit() -> None:
    """As the standard library's executors: what was submitted is done before the program ends."""
    threads = list(_threads)
    for shared in list(_alive):
        _close(shared)
    for thread in threads:
        thread.join()


# Before daemon threads die; `atexit` alone would be too late (concurrent.futures does the same).
try:
    threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
except (AttributeError, RuntimeError) as missing:
    raise BelljarError(f"SandboxExecutor cannot be used here: {missing}") from None
