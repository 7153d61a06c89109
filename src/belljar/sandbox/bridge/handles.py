"""The host's side of what it shared: handles to take it back, and marks for what may cross."""

from __future__ import annotations

from belljar.sandbox.bridge.exposure import Exposure, table_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from belljar.sandbox.bridge.exposure import Allow, Table
    from belljar.sandbox.bridge.limits import Limit
    from belljar.sandbox.bridge.objects import Objects


class Life:
    """Whether a share stands: one for a shared object and for all that its methods gave out."""

    __slots__ = ("over", "taken")

    def __init__(self) -> None:
        self.over = False
        self.taken = False  # over because it was taken back, and not with its sandbox


class LaterLife(Life):
    """That of the same share in a branch: over by itself, or where the first one is taken back."""

    __slots__ = ("_first", "_over", "_taken")

    def __init__(self, first: Life) -> None:
        self._first = first
        self._over = self._taken = False

    @property
    def over(self) -> bool:
        return self._over or self._first.taken

    @over.setter
    def over(self, value: bool) -> None:
        self._over = value

    @property
    def taken(self) -> bool:
        return self._taken or self._first.taken

    @taken.setter
    def taken(self, value: bool) -> None:
        self._taken = value


class Shared:
    """One object that one guest may use: its number there, and what is listed of it."""

    __slots__ = ("calls", "life", "name", "number", "obj", "sent", "table")

    def __init__(self, number: int, name: str, obj: Any, table: Table, life: Life) -> None:
        self.number = number
        self.name = name
        self.obj = obj
        self.table = table
        self.life = life
        self.sent = 0  # references that the guest has been sent and has not dropped
        self.calls: dict[str, int] = {}


class Handle:
    """What `share` returns. A shared function that is passed one by its guest gets it as a handle,
    too: `object` is what was shared, and the guest's word for it was a number.

    >>> handle = box.share("db", database, methods=["get", "put"])  # doctest: +SKIP
    >>> handle.narrow(methods=["get"])  # doctest: +SKIP
    >>> handle.revoke()  # doctest: +SKIP
    """

    __slots__ = ("_objects", "_shared")

    def __init__(self, objects: Objects, shared: Shared) -> None:
        self._objects = objects
        self._shared = shared

    @property
    def name(self) -> str:
        """What the guest calls it, and the record."""
        return self._shared.name

    @property
    def object(self) -> Any:
        """What was shared."""
        return self._shared.obj

    @property
    def revoked(self) -> bool:
        """Whether it was taken back."""
        return self._shared.life.over

    @property
    def methods(self) -> tuple[str, ...]:
        """The names that the guest may call."""
        return tuple(self._shared.table.methods)

    @property
    def calls(self) -> dict[str, int]:
        """How many calls of each method were let through."""
        return dict(self._shared.calls)

    def revoke(self) -> None:
        """Take it back, with all that its methods gave out. A call that runs goes on, and the
        guest gets no result of it; every later one fails with `ReferenceError`."""
        self._objects.revoke(self._shared)

    def narrow(
        self,
        *,
        methods: Iterable[str] | None = None,
        attributes: Iterable[str] | None = None,
        allow: Mapping[str, Allow] | None = None,
        limits: Mapping[str, Limit] | None = None,
    ) -> None:
        """Leave less: only these methods and attributes; further checks and limits beside those
        that hold. What its methods gave out before stays as it was. Raises `ValueError` for what
        is not shared: nothing can be added."""
        self._objects.narrow(
            self._shared,
            lambda table: table.narrowed(methods, attributes, allow or {}, limits or {}),
        )

    def __repr__(self) -> str:
        state = "revoked" if self.revoked else ", ".join(self.methods)
        return f"<Handle {self.name}: {state}>"


class Exposed:
    """An object together with what a guest may use of it: as an argument (`box.call("m:f",
    Exposed(cursor, methods=["fetch"]))`) or as the result of a shared method. With nothing listed,
    a function or other callable can be called."""

    __slots__ = ("life", "name", "object", "table")

    def __init__(
        self,
        object: Any,  # noqa: A002 - as the handle calls it
        *,
        methods: Iterable[str] = (),
        attributes: Iterable[str] = (),
        allow: Mapping[str, Allow] | None = None,
        limits: Mapping[str, Limit] | None = None,
        returns: Mapping[str, Iterable[str] | Exposure] | None = None,
        messages: bool = False,
    ) -> None:
        self.object = object
        self.name = "argument"
        self.life = Life()
        given = Exposure(methods, attributes, allow or {}, limits or {}, returns or {}, messages)
        self.table = table_of(object, own_exposure(object, given))


def own_exposure(obj: object, given: Exposure) -> Exposure:
    """`given`, or what the class of `obj` says of itself where nothing is listed."""
    own = getattr(type(obj), "__belljar__", None)
    if isinstance(own, Exposure) and not given.methods and not given.attributes:
        return own.replace(
            allow={**own.allow, **given.allow},
            limits={**own.limits, **given.limits},
            returns={**own.returns, **given.returns},
            messages=own.messages or given.messages,
        )
    return given
