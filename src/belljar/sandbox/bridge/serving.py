"""Every call and look that a guest asks for: who may, how often, recorded before it happens."""

from __future__ import annotations

from _thread import allocate_lock

from belljar.errors import GuestProtocolError
from belljar.model import Decision
from belljar.sandbox.bridge.failures import EXITED, Exited, Refusal, told
from belljar.sandbox.bridge.peer import RaisedForGuest
from belljar.sandbox.bridge.performing import perform
from belljar.sandbox.bridge.results import NotData, outgoing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, NoReturn

    from belljar.sandbox.bridge.exposure import Exposure, Listed
    from belljar.sandbox.bridge.handles import Shared
    from belljar.sandbox.bridge.objects import Objects

_ALLOWED: Final = Decision("allow", "the host shares it")
_LONGEST: Final = 200  # characters of a name that the guest made up
_GONE: Final = "it is not shared, or no longer"


class Serving:
    """Serves `call` and `get` by the tables of `objects`.

    The order is fixed: is it there, is it listed, may its arguments have these names, do the limits
    allow one more, does the check say True; then it is recorded, and only then called.
    """

    def __init__(self, objects: Objects, record: Callable[[str, str, Decision], object]) -> None:
        self._objects = objects
        self._record = record
        self._lock = allocate_lock()

    def call(self, body: object) -> object:
        if type(body) is not tuple or len(body) != 4:
            raise GuestProtocolError("a call is a number, a name, arguments and names of them")
        number, name, args, kwargs = body
        if type(number) is not int or type(name) is not str:
            raise GuestProtocolError("a call has no number or no name")
        if type(args) is not tuple or type(kwargs) is not dict:
            raise GuestProtocolError("a call has no arguments")
        shared = self._objects.shared.get(number)
        if shared is None or shared.life.over:
            self._refuse(shared, name, "ReferenceError", _GONE)
        table = shared.table
        listed = table.methods.get(name)
        if listed is None:
            self._refuse(shared, name, "AttributeError", "no such method is shared")
        for key in kwargs:
            if type(key) is not str:
                raise GuestProtocolError("the name of an argument is no text")
            if key[:1] == "_":
                self._refuse(shared, name, "TypeError", "the name of an argument is private")
        self._permit(shared, name, listed, args, kwargs)
        if shared.life.over or name not in shared.table.methods:  # by a check, or meanwhile
            self._refuse(shared, name, "ReferenceError", "it was taken back")
        self._record(shared.name, name, _ALLOWED)
        with self._lock:
            shared.calls[name] = shared.calls.get(name, 0) + 1
        try:
            result = perform(listed, args, kwargs, self._objects)
        except (SystemExit, Exited):
            self._refuse(shared, name, "HostError", EXITED)
        except Exception as error:  # noqa: BLE001 - whatever a host's function raises
            if isinstance(error, RaisedForGuest) and error.type_name == "PermissionError":
                self._record(shared.name, name, Decision("deny", error.message))
            raise told(error, messages=table.messages) from None
        if shared.life.over:
            self._refuse(shared, name, "ReferenceError", "it was taken back during the call")
        return self._outgoing(shared, name, listed.returns, result)

    def _outgoing(
        self, shared: Shared, name: str, returns: Exposure | None, result: object
    ) -> object:
        try:
            return outgoing(self._objects, shared, name, returns, result)
        except NotData as error:
            self._record(shared.name, name, Decision("deny", str(error)))
            kind, why = "TypeError", "the share does not say how its result is passed"
            raise Refusal(kind, f"{_place(shared.name, name)}: {why}") from None

    def _permit(
        self,
        shared: Shared,
        name: str,
        listed: Listed,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        for meter in listed.meters:
            why = meter.take()
            if why is not None:
                self._refuse(shared, name, "Limited", why)
        for check in listed.checks:
            try:
                answer = check(*args, **kwargs)
            except (Exception, SystemExit):  # noqa: BLE001 - a check that fails has not allowed
                self._refuse(shared, name, "PermissionError", "its check failed")
            if answer is not True:
                why = "its check says no"
                if answer is not False and answer is not None:
                    why = "its check said neither True nor False"
                self._refuse(shared, name, "PermissionError", why)

    def _refuse(self, shared: Shared | None, name: str, kind: str, why: str) -> NoReturn:
        what, name = shared.name if shared is not None else "", name[:_LONGEST]
        self._record(what, name, Decision("deny", why))
        raise Refusal(kind, f"{_place(what, name)}: {why}" if what else why)

    def get(self, body: object) -> object:
        if type(body) is not tuple or len(body) != 2:
            raise GuestProtocolError("an attribute is a number and a name")
        number, name = body
        if type(number) is not int or type(name) is not str:
            raise GuestProtocolError("an attribute has no number or no name")
        if number == 0:
            return self._objects.named(name)
        shared = self._objects.shared.get(number)
        if shared is None or shared.life.over:
            self._refuse(shared, name, "ReferenceError", _GONE)
        if name not in shared.table.attributes:
            self._refuse(shared, name, "AttributeError", "no such attribute is shared")
        self._record(shared.name, name, _ALLOWED)
        try:
            value = getattr(shared.obj, name)  # a name of the table, so one of the host's
        except SystemExit:
            self._refuse(shared, name, "HostError", EXITED)
        except Exception as error:  # noqa: BLE001 - a property is a host's function
            raise told(error, messages=shared.table.messages) from None
        return self._outgoing(shared, name, shared.table.attributes[name], value)


def _place(shared: str, name: str) -> str:
    """As the guest writes it."""
    return f"host.{shared}" if name == "__call__" else f"host.{shared}.{name}"
