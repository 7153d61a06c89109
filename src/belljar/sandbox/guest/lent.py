"""What the host does with a function, iterator or context manager that the guest lent to it.

Part of the live guest's first lines; runs on any CPython from 3.8.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

if "Peer" not in globals():  # in the guest, all parts are one file
    from belljar.sandbox.guest.peer import _error_here


def use_lent(obj: "Any", name: str, args: "Any", kwargs: "Any") -> "Any":
    """Do `name` with `obj`: `__call__`, `__next__` (a tuple of the item, or of none at the end),
    `close`, `__enter__`, `__exit__` (a name and a text of what ended the block, or None twice).
    """
    kind = type(obj)
    if name == "__call__":
        return _to_its_end(obj(*args, **kwargs))
    if name == "__next__":
        try:
            if hasattr(kind, "__next__"):
                return (next(obj),)
            return (_to_its_end(kind.__anext__(obj)),)
        except (StopIteration, StopAsyncIteration):
            return ()
    if name == "close":
        close = getattr(obj, "close", None) or getattr(obj, "aclose", None)
        return _to_its_end(close()) if close is not None else None
    plain = hasattr(kind, "__enter__")
    if name == "__enter__":
        return kind.__enter__(obj) if plain else _to_its_end(kind.__aenter__(obj))
    about: "Any" = (None, None, None)
    if args[0] is not None:
        error = _error_here(*args)
        about = (type(error), error, None)
    _to_its_end(kind.__exit__(obj, *about) if plain else kind.__aexit__(obj, *about))
    return None


def _to_its_end(result: "Any") -> "Any":
    """The result of a coroutine, run here; anything else as it is."""
    if not hasattr(type(result), "__await__"):
        return result
    import asyncio

    async def awaiting() -> "Any":
        return await result

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaiting())
    import threading  # this thread's loop waits for the host: another thread has to run it

    outcome: "list[Any]" = []

    def work() -> None:
        try:
            outcome.append((asyncio.run(awaiting()), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
