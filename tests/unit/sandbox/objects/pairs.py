"""Both halves of host objects in one process, with the codec between them and no descriptors."""

from __future__ import annotations

from typing import Any

from belljar.errors import GuestError
from belljar.model import Decision
from belljar.sandbox.bridge.failures import Refusal
from belljar.sandbox.bridge.objects import ObjectLimits, Objects
from belljar.sandbox.guest.host import HostNames, HostSide
from belljar.sandbox.guest.peer import _error_here
from belljar.sandbox.guest.reading import loads
from belljar.sandbox.guest.values import dumps


class Guest:
    """The guest's end. `request(op, body)` sends what no proxy would."""

    def __init__(self, pair: Pair) -> None:
        self.side = HostSide(self)
        self.host = HostNames(self.side)
        self.operations = self.side.operations()
        self._pair = pair

    def request(self, op: str, body: object) -> Any:
        objects = self._pair.objects
        sent = loads(dumps(body, self.side.refer), objects.resolve)
        try:
            answer = dumps(objects.serve(op, sent), objects.refer)
        except Refusal as error:
            raise _error_here(error.type_name, error.message) from None
        return loads(answer, self.side.resolve)

    def note(self, op: str, body: object) -> None:
        self._pair.objects.serve(op, loads(dumps(body)))


class Pair:
    """The host's end: `share` here, use `guest.host`."""

    def __init__(self, limits: ObjectLimits | None = None) -> None:
        self.recorded: list[tuple[str, str, str, str]] = []
        self.objects = Objects(self._record, limits)
        self.guest = Guest(self)
        self.objects.attach(self)  # type: ignore[arg-type]
        self.share = self.objects.share
        self.host = self.guest.host

    def _record(self, name: str, method: str, decision: Decision) -> None:
        self.recorded.append((name, method, decision.verdict, decision.because))

    def request(self, op: str, body: object, deadline: float | None = None) -> Any:
        side = self.guest.side
        sent = loads(dumps(body, self.objects.refer), side.resolve)
        try:
            answer = dumps(self.guest.operations[op](sent), side.refer)
        except Exception as error:
            raise GuestError(type(error).__name__, str(error)) from None
        return loads(answer, self.objects.resolve)

    def inside(self) -> None:
        return None

    def request_for(self, inside: object, *more: Any) -> Any:
        return self.request(*more)

    def note(self, op: str, body: object) -> None:
        self.guest.operations[op](loads(dumps(body)))

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """What `box.call` does of arguments and result."""
        args, kwargs = self.objects.arguments(args, kwargs)
        args, kwargs = loads(dumps((args, kwargs), self.objects.refer), self.guest.side.resolve)
        return loads(dumps(function(*args, **kwargs), self.guest.side.refer), self.objects.resolve)
