"""Callbacks of a sandbox's owner: in a thread of their own, in order, so that one that takes long
holds up neither the supervisor nor other sandboxes."""

from __future__ import annotations

import threading
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Seconds without anything to tell after which the thread ends.
_LINGER = 1.0


class Teller:
    """`tell(function, *args)` from any thread; `wait` until all of it was told. The thread lives as
    long as there is something to tell. `failed` is called with what a callback raised, and nothing
    more is told after that."""

    def __init__(self) -> None:
        self.failed: Callable[[BaseException], None] = _nobody
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._over = False

    def tell(self, function: Callable[..., object], *args: Any) -> None:
        """Call `function` some time soon."""
        with self._changed:
            if self._over:
                return
            self._waiting.append((function, args))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="belljar-callbacks", daemon=True
                )
                self._thread.start()
            else:
                self._changed.notify_all()

    def is_this_thread(self) -> bool:
        """Is it a callback that asks?"""
        return self._thread is threading.current_thread()

    def wait(self, seconds: float) -> bool:
        """Wait until all is told; False where that takes longer. A callback does not wait."""
        if self._thread is None or self.is_this_thread():
            return True
        with self._changed:
            return self._changed.wait_for(self._idle, seconds)

    def _idle(self) -> bool:
        return not self._waiting and not self._busy

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                if not self._waiting:
                    self._changed.notify_all()
                    if not self._changed.wait_for(lambda: bool(self._waiting), _LINGER):
                        self._thread = None
                        return
                function, args = self._waiting.popleft()
                self._busy = True
            try:
                function(*args)
            except BaseException as error:  # noqa: BLE001 - the sandbox ends of it, not this thread
                with self._changed:
                    self._over = True
                    self._waiting.clear()
                self.failed(error)


def _nobody(_error: BaseException) -> None:
    return
