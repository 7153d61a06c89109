"""A stand-in for `belljar.Sandbox`: the same calls, without walls and in this process."""

from __future__ import annotations

import importlib
import threading
from typing import Any

from belljar.errors import GuestError, SandboxEnded


class Box:
    """Counts those that were made and are open. What raises is a `GuestError`, as of a guest."""

    made = 0
    open = 0
    options: Any = None
    lock = threading.Lock()

    def __init__(self, policy: Any = None, **options: Any) -> None:
        with Box.lock:
            Box.made += 1
            Box.open += 1
        Box.options = options
        self.policy = policy
        self.ended_by = ""
        self.closed = False
        self.names: dict[str, Any] = {}

    def run(self, source: str, *, filename: str = "<run>", check: bool = False) -> None:
        exec(compile(source, filename, "exec"), self.names)

    def call(self, target: str, /, *args: Any, **kwargs: Any) -> Any:
        if self.ended_by:
            raise SandboxEnded("ended", self.ended_by)
        module, _, path = target.partition(":")
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
        try:
            return found(*args, **kwargs)
        except SystemExit:
            self.ended_by = "signal"
            raise SandboxEnded("the guest died", "signal", "how") from None
        except Exception as error:
            raise GuestError(type(error).__name__, str(error), "") from None

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        with Box.lock:
            Box.open -= 1
