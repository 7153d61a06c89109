"""What of an object a guest may use: a table made once, when the object is shared.

A guest's name for a method is looked up in this table and nowhere else: `getattr` is called here
alone, with names that the host wrote. What a name stood for at that moment is what is called later.
"""

from __future__ import annotations

from belljar.errors import GuestError
from belljar.model import Value
from belljar.sandbox.bridge.limits import Limit, Meter, checked_limit, shortest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Final

    Allow = Callable[..., object]
    Call = Callable[..., Any]

#: The names with underscores that may be shared; each has its syntax in the guest.
SPECIAL: Final = frozenset(
    f"__{name}__" for name in (
        "call", "len", "contains", "getitem", "setitem", "delitem", "iter", "next",
        "enter", "exit", "aiter", "anext", "aenter", "aexit",
    )
)  # fmt: skip
_LONGEST = 200


class Exposure(Value):
    """What a guest may use of an object, for `returns=` and for a class that says it of itself.

    `methods` and `attributes` are names (attributes are read at each asking, never set); `allow`
    maps a method to a check of its arguments, of which True alone allows; `limits` to a `Limit`;
    `returns` to what may be used of its result where that is no data. With `messages` the guest
    sees the text of every exception as it is. A class with an `Exposure` as its `__belljar__` is
    shared so where nothing is listed.

    >>> Exposure(methods=["read", "close"]).methods
    ['read', 'close']
    """

    methods: Iterable[str] = ()
    attributes: Iterable[str] = ()
    allow: Mapping[str, Allow] = {}
    limits: Mapping[str, Limit] = {}
    returns: Mapping[str, Iterable[str] | Exposure] = {}
    messages: bool = False


class Listed:
    """One method of one shared object: what is called, and what must hold before."""

    __slots__ = ("call", "checks", "is_async", "meters", "returns", "seconds", "stuck")

    def __init__(
        self, call: Call, checks: tuple[Allow, ...], meters: tuple[Meter, ...],
        returns: Exposure | None,
    ) -> None:  # fmt: skip
        self.call = call
        self.checks = checks
        self.meters = meters
        self.returns = returns
        self.seconds = shortest(meters)
        self.is_async = _is_async(call)
        self.stuck: list[int] = [0]  # calls given up that still run: shared by narrowed ones

    def narrowed(self, allow: Allow | None, limit: Limit | None) -> Listed:
        """The same with one more check and one more limit: what held before holds still."""
        checks = (*self.checks, allow) if allow else self.checks
        meters = (*self.meters, Meter(limit)) if limit else self.meters
        one = Listed(self.call, checks, meters, self.returns)
        one.stuck = self.stuck
        return one


class Table(Value):
    """The methods and attributes of one shared object."""

    methods: dict[str, Listed]
    attributes: dict[str, Exposure | None]
    messages: bool

    def narrowed(
        self,
        methods: Iterable[str] | None,
        attributes: Iterable[str] | None,
        allow: Mapping[str, Allow],
        limits: Mapping[str, Limit],
    ) -> Table:
        """A table with less in it. Raises `ValueError` for a name that this one does not have."""
        kept = self.methods if methods is None else _picked(self.methods, methods, "method")
        names = self.attributes
        if attributes is not None:
            names = _picked(names, attributes, "attribute")
        _known(kept, allow, limits)
        _checked(allow, limits)
        fewer = {
            name: one.narrowed(allow.get(name), limits.get(name)) for name, one in kept.items()
        }
        return Table(fewer, names, self.messages)


def table_of(obj: object, exposure: Exposure) -> Table:
    """The table of `obj`. Raises `ValueError` for a private name, `AttributeError` for one that the
    object does not have, `TypeError` for what is no method, name, check or limit."""
    names = tuple(_name(name) for name in _each(exposure.methods))
    attributes = tuple(_name(name, special=False) for name in _each(exposure.attributes))
    if not names and not attributes:
        if not callable(obj):
            kind = type(obj).__name__
            raise TypeError(f"say which methods or attributes of this {kind} to share")
        names = ("__call__",)
    calls = {name: _method(obj, name) for name in names}
    for name in attributes:
        getattr(obj, name)
        if name in calls:
            raise ValueError(f"{name} is listed as a method and as an attribute")
    return _table(calls, attributes, exposure)


def table_of_functions(functions: object, exposure: Exposure) -> Table:
    """The same for a dict of functions, a module of them, or one function."""
    if type(functions) is dict:
        calls = {_name(name): _callable(call, name) for name, call in functions.items()}
    elif _is_module(functions):
        calls = {name: _method(functions, name) for name in _public(functions)}
    else:
        calls = {"__call__": _callable(functions, "functions")}
    names = tuple(_each(exposure.methods))
    if names:
        calls = _picked(calls, names, "function")
    if not calls:
        raise ValueError("there are no functions to share")
    return _table(calls, (), exposure)


def _table(calls: dict[str, Call], attributes: tuple[str, ...], exposure: Exposure) -> Table:
    allow, limits = dict(exposure.allow), dict(exposure.limits)
    returns = {name: as_exposure(what) for name, what in dict(exposure.returns).items()}
    _known(calls, allow, limits)
    _known({**calls, **dict.fromkeys(attributes)}, returns)
    _checked(allow, limits)
    listed = {}
    for name, call in calls.items():
        checks = (allow[name],) if name in allow else ()
        meters = (Meter(limits[name]),) if name in limits else ()
        implied = Exposure(methods=("__next__",)) if name == "__iter__" else None
        implied = Exposure(methods=("__anext__",)) if name == "__aiter__" else implied
        listed[name] = Listed(call, checks, meters, returns.get(name, implied))
    if type(exposure.messages) is not bool:
        raise TypeError("messages is True or False")
    return Table(listed, {name: returns.get(name) for name in attributes}, exposure.messages)


def as_exposure(what: object) -> Exposure:
    """An `Exposure`, or the names of methods, as one."""
    if isinstance(what, Exposure):
        return what
    names = tuple(_each(what))
    if not names:
        raise ValueError("an empty list of methods: nothing could be done with the result")
    for name in names:
        _name(name)
    return Exposure(methods=names)


def _each(names: Any) -> tuple[Any, ...]:
    if isinstance(names, str):
        raise TypeError(f"a list of names, not the text {names!r}")
    return tuple(names)


def _name(name: object, *, special: bool = True) -> str:
    if type(name) is not str or not name.isidentifier() or len(name) > _LONGEST:
        raise ValueError(f"{name!r} is not the name of a method or attribute")
    if name[0] == "_" and not (special and name in SPECIAL):
        raise ValueError(f"{name} is private: write a function that does what the guest needs")
    if name == "aio":
        raise ValueError("the name aio is taken: it is how a guest awaits")
    return name


def _method(obj: object, name: str) -> Call:
    call = _callable(obj if name == "__call__" else getattr(obj, name), name)
    return _exiting(call) if name in ("__exit__", "__aexit__") else call


def _exiting(call: Call) -> Call:
    """`__exit__` as a guest calls it: with a name and a text, or with None twice."""

    def leave(kind: object = None, text: object = "") -> object:
        if kind is None:
            return call(None, None, None)
        error = GuestError(str(kind), str(text)) if type(kind) is type(text) is str else None
        return call(GuestError, error or GuestError("Exception"), None)

    return leave


def _callable(call: object, name: object) -> Call:
    if not callable(call):
        raise TypeError(f"{name} is not callable; attributes are listed in attributes=")
    return call


def _is_module(obj: object) -> bool:
    import types

    return isinstance(obj, types.ModuleType)


def _public(module: object) -> tuple[str, ...]:
    """What a module offers: what its `__all__` names, else the functions that it defines itself.
    What it merely imported (`os`, say) was not meant for others."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return tuple(_name(name, special=False) for name in listed)
    import types

    return tuple(
        name for name, value in sorted(vars(module).items())
        if type(value) is types.FunctionType and name[0] != "_"
        and value.__module__ == module.__name__  # type: ignore[attr-defined]
    )  # fmt: skip


def _is_async(call: object) -> bool:
    for one in (call, getattr(type(call), "__call__", None)):  # noqa: B004
        code = getattr(getattr(one, "__func__", one), "__code__", None)
        if code is not None and code.co_flags & 0x80:  # CO_COROUTINE
            return True
    return False


def _known(calls: Mapping[str, object], *others: Mapping[str, object]) -> None:
    """A check of a method that is not there would never be asked: say so."""
    for other in others:
        for name in other:
            if name not in calls:
                raise ValueError(f"{name!r} is not among the shared methods")


def _checked(allow: Mapping[str, Allow], limits: Mapping[str, Limit]) -> None:
    for name, check in allow.items():
        if not callable(check):
            raise TypeError(f"allow[{name!r}] is not callable")
        if _is_async(check):
            raise TypeError(f"allow[{name!r}] is async: what it returns is always true")
    for limit in limits.values():
        checked_limit(limit)


def _picked(table: dict[str, Any], names: Iterable[str], what: str) -> dict[str, Any]:
    chosen = _each(names)
    for name in chosen:
        if name not in table:
            raise ValueError(f"{name!r} is no shared {what}: a share can only be narrowed")
    return {name: one for name, one in table.items() if name in chosen}
