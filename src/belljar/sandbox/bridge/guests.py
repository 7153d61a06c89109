"""A guest's functions, iterators and context managers, as the host sees them.

Each is a number and a way to ask: no attribute, comparison, hash or text of the guest's own is
ever used. Whatever such an object does, it does in the guest, and it ends with the guest.
"""

from __future__ import annotations

from belljar.errors import GuestError, GuestProtocolError
from belljar.sandbox.guest.values import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final, Self

    from belljar.sandbox.bridge.objects import Objects


class GuestObject:
    """Base of what a guest lent to the host. `deadline` is how many seconds each use may take
    (None: as long as the guest may run); after that the guest is ended, and `TimeoutError` raised.
    It is given back when the host no longer holds it, or with `revoke`. Used after that, or after
    the guest's end, it raises `ReferenceError`; `SandboxEnded` where the guest ends meanwhile."""

    __slots__ = ("_number", "_objects", "deadline")

    deadline: float | None

    def __init__(self, objects: Objects, number: int) -> None:
        self._objects = objects
        self._number = number
        self.deadline = None

    def revoke(self) -> None:
        """Give it back: the guest may forget it."""
        number, self._number = self._number, 0
        if number:
            self._objects.forget(number)

    def _ask(self, name: str, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        number = self._number
        if not number:
            raise ReferenceError("it was given back to the guest")
        return self._objects.ask("method", (number, name, args, kwargs or {}), self.deadline)

    async def _aio(self, name: str, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        import asyncio

        return await asyncio.to_thread(self._ask, name, args, kwargs)

    def __del__(self) -> None:
        if self._number:
            self._objects.forget(self._number)

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} belongs to one sandbox and cannot be pickled")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._number}>"


class GuestFunction(GuestObject):
    """A function of the guest. Calling it runs it there; arguments and result are data, functions,
    and handles of what the guest was given. An `async def` runs to its end.

    Raises `GuestError` for what it raises, `TimeoutError` after `deadline` seconds. In async code:
    `await function.aio(...)`.
    """

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._ask("__call__", *self._objects.arguments(args, kwargs))

    async def aio(self, *args: Any, **kwargs: Any) -> Any:
        """The same, awaited: another thread waits."""
        return await self._aio("__call__", *self._objects.arguments(args, kwargs))


class GuestIterator(GuestObject):
    """An iterator or generator of the guest, to be gone through once, `for` or `async for`. It may
    never end: count."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        more = self._more(self._ask("__next__"))
        if not more:
            raise StopIteration
        return more[0]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        more = self._more(await self._aio("__next__"))
        if not more:
            raise StopAsyncIteration
        return more[0]

    def close(self) -> None:
        """End the generator, and give it back."""
        if self._number:
            self._ask("close")
            self.revoke()

    def _more(self, answer: object) -> tuple[Any, ...]:
        # the end is an answer, not an error: a guest's StopIteration would end a host's generator
        if type(answer) is not tuple or len(answer) > 1:
            self._objects.misspoke(GuestProtocolError("the guest's next item is none"))
        return answer


class GuestContext(GuestObject):
    """A context manager of the guest. What it returns on entry is data or such a wrapper. It is
    told the type and text of an exception that ends the block; it cannot silence one."""

    __slots__ = ()

    def __enter__(self) -> Any:
        return self._ask("__enter__")

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: object) -> None:
        self._ask("__exit__", _told(kind, error))

    async def __aenter__(self) -> Any:
        return await self._aio("__enter__")

    async def __aexit__(self, kind: type[BaseException] | None, error: Any, trace: object) -> None:
        await self._aio("__exit__", _told(kind, error))


def _told(kind: type[BaseException] | None, error: object) -> tuple[Any, ...]:
    from belljar.sandbox.bridge.failures import told

    if kind is None:
        return (None, None)
    if type(error) is GuestError:
        return (error.type_name, error.message)
    if isinstance(error, Exception):
        what = told(error)
        return (what.type_name, what.message)
    return (kind.__name__, "")


_KINDS: Final = {
    "function": GuestFunction,
    "iterator": GuestIterator,
    "context": GuestContext,
}


def wrapper_of(objects: Objects, number: int, kind: object) -> GuestObject:
    """The wrapper of a reference that the guest sent. Raises `Malformed`."""
    made = _KINDS.get(kind) if type(kind) is str else None
    if made is None:
        raise Malformed("the guest lends something of no known kind")
    return made(objects, number)
