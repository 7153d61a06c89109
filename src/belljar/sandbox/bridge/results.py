"""What crosses to a guest, and how: data by value, the rest only where somebody said so."""

from __future__ import annotations

from belljar.sandbox.bridge.exposure import Exposure, table_of
from belljar.sandbox.bridge.guests import GuestObject
from belljar.sandbox.bridge.handles import Exposed, Handle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from belljar.sandbox.bridge.exposure import Table
    from belljar.sandbox.bridge.handles import Shared
    from belljar.sandbox.bridge.objects import Objects

_ATOMS: Final = frozenset((type(None), bool, int, float, str, bytes))
_PLAIN: Final = _ATOMS | {complex, bytearray, list, tuple, dict, set, frozenset, range, slice}
_MODULES: Final = frozenset(("datetime", "decimal", "fractions", "uuid", "pathlib", "numpy"))
_ITERATOR: Final = Exposure(methods=("__next__", "close"))
_ASYNC_ITERATOR: Final = Exposure(methods=("__anext__", "aclose"))


class NotData(TypeError):
    """A result that may not cross, said for the person who shared the object."""


def outgoing(
    objects: Objects, shared: Shared, name: str, returns: Exposure | None, result: Any
) -> object:
    """The result of a method as it is to cross: itself where it is data, marked as `Exposed` where
    the share says how, as its handle where it is the shared object itself. Items of a list, a
    tuple or the values of a dict count as results, where the share says how.

    Raises `NotData` for everything else.
    """
    kind = type(result)
    if kind in _ATOMS:
        return result
    if returns is not None and kind in (list, tuple, dict):
        return _inside(objects, shared, name, returns, result)
    return _one(objects, shared, name, returns, result)


def _one(
    objects: Objects, shared: Shared, name: str, returns: Exposure | None, result: Any
) -> object:
    kind = type(result)
    if kind in _PLAIN or kind.__module__ in _MODULES:
        return result
    if result is shared.obj and name not in ("__iter__", "__aiter__"):
        return Handle(objects, shared)
    if isinstance(result, (Handle, GuestObject)):
        return result
    if kind is Exposed:
        return _marked(shared, name, result.object, result.table)
    if returns is not None:
        try:
            return _marked(shared, name, result, table_of(result, returns))
        except (AttributeError, TypeError, ValueError) as error:
            text = f"{shared.name}.{name} returned what the share does not fit: {error}"
            raise NotData(text) from error
    if _is_record(kind):
        return result
    what = f"a {kind.__module__}.{kind.__qualname__}"
    raise NotData(
        f"{shared.name}.{name} returned {what}, which is not data: say what the guest may use "
        f"of it, returns={{{name!r}: [...]}}"
    )


def _inside(objects: Objects, shared: Shared, name: str, returns: Exposure, result: Any) -> object:
    if type(result) is dict:
        return {k: _one(objects, shared, name, returns, v) for k, v in result.items()}
    return type(result)(_one(objects, shared, name, returns, one) for one in result)


def _marked(shared: Shared, name: str, obj: object, table: Table) -> Exposed:
    """It is recorded as what gave it out, and taken back with that."""
    one = Exposed.__new__(Exposed)
    one.object, one.table = obj, table
    one.name, one.life = f"{shared.name}.{name}()", shared.life
    return one


def _is_record(kind: type) -> bool:
    """Dataclasses and enumerations cross as data."""
    return "__dataclass_fields__" in vars(kind) or type(kind).__module__ == "enum"


def as_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of a call from the host: functions and generators can be used by the guest."""
    kept = tuple(map(_argument, args))
    return kept, {name: _argument(value) for name, value in kwargs.items()} if kwargs else kwargs


def _argument(value: Any) -> object:
    kind = type(value)
    if kind in _PLAIN:
        return value
    import types

    if isinstance(value, GuestObject):
        return value
    if kind in (types.FunctionType, types.BuiltinFunctionType, types.MethodType):
        return Exposed(value)
    if kind is types.GeneratorType:
        return Exposed(value, methods=_ITERATOR.methods)
    if kind is types.AsyncGeneratorType:
        return Exposed(value, methods=_ASYNC_ITERATOR.methods)
    if kind.__name__ == "partial" and kind.__module__ == "functools":
        return Exposed(value)
    return value
