"""How a function of the host's gets into a guest: by import path, or by its source. Never pickled.

A function whose module the guest can import itself is named. Any other plain function at the top
level of a module travels as text, with what it needs of its module: modules it imported, plain
functions of the same module, and data.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
import types

from belljar.errors import BelljarError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

_MOST_PARTS: Final = 100
_DATA: Final = (type(None), bool, int, float, complex, str, bytes)


class CannotTravel(BelljarError, TypeError):
    """A function cannot be brought into the guest. The text says why and what to do."""


class Travelling:
    """What a worker needs to call a function: `target`, as `Sandbox.call` takes it, and, where it
    goes by source, `module` and `source`, to be run once in each guest. `args` and `kwargs` are
    those of `functools.partial` around it."""

    __slots__ = ("args", "kwargs", "module", "source", "target")

    def __init__(self, target: str, module: str = "", source: str = "") -> None:
        self.target = target
        self.module = module
        self.source = source
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}


def pack(function: Any, importable: Callable[[str], bool]) -> Travelling:
    """How `function` travels; `importable` says of a module's name whether the guest has it.

    Raises `CannotTravel`.

    >>> import math
    >>> pack(math.gcd, lambda module: module == "math").target
    'math:gcd'
    """
    if isinstance(function, str):
        if ":" not in function:
            raise CannotTravel(f"{function!a} is no import path: write 'module:function'")
        return Travelling(function)
    if isinstance(function, functools.partial):
        inner = pack(function.func, importable)
        inner.args = (*inner.args, *function.args)
        inner.kwargs = {**inner.kwargs, **function.keywords}
        return inner
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    module = getattr(function, "__module__", None)
    if not isinstance(name, str) or not callable(function):
        raise CannotTravel(f"a {type(function).__name__} is no function that could travel")
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, (types.ModuleType, type)):
        raise CannotTravel(
            f"{name} is bound to an object of this process: pass a function, and data for it"
        )
    if isinstance(owner, types.ModuleType):
        module = owner.__name__
    elif module is None:  # a method of a built-in type, such as str.upper
        module = getattr(getattr(function, "__objclass__", owner), "__module__", None)
    if isinstance(module, str) and "<" not in name and module != "__main__" and importable(module):
        return Travelling(f"{module}:{name}")
    if isinstance(function, types.FunctionType):
        return _by_source(function, name)
    raise CannotTravel(
        f"{module}.{name} cannot be imported by the guest: grant it (import_=[...]), or pass a "
        "function of your own that does the same"
    )


def _by_source(function: types.FunctionType, name: str) -> Travelling:
    parts = _Parts(function)
    parts.add(function)
    source = parts.source()
    from hashlib import blake2b

    module = (
        "_belljar_" + blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    )
    return Travelling(f"{module}:{name}", module, source)


class _Parts:
    """The text that a function needs around it."""

    def __init__(self, first: types.FunctionType) -> None:
        self._first = first
        self._seen: dict[str, object] = {}
        self._lines: list[str] = []

    def source(self) -> str:
        return "\n".join(self._lines) + "\n"

    def add(self, function: types.FunctionType) -> None:
        """`function`, behind everything that its code names."""
        if len(self._seen) > _MOST_PARTS:
            raise CannotTravel(f"{self._first.__qualname__} needs too much of its module")
        self._seen[function.__name__] = function
        text = _text(function)
        for name in _globals_of(function.__code__):
            if name in function.__globals__:
                self._need(name, function.__globals__[name], function)
        self._lines.append(text)

    def _need(self, name: str, value: object, user: types.FunctionType) -> None:
        if name in self._seen:
            return
        self._seen[name] = value
        if isinstance(value, types.ModuleType):
            self._lines.insert(0, f"import {value.__name__} as {name}"
                               if "." in value.__name__ or value.__name__ != name
                               else f"import {name}")  # fmt: skip
        elif isinstance(value, types.FunctionType) and value.__module__ == user.__module__:
            self.add(value)
            if value.__name__ != name:
                self._lines.append(f"{name} = {value.__name__}")
        elif isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
            self._imported(name, value, user)
        elif _is_data(value):
            self._lines.insert(0, f"{name} = {value!r}")
        else:
            raise CannotTravel(
                f"{user.__qualname__} uses {name}, a {type(value).__name__} of its module, which "
                "cannot travel: pass it as an argument, or put the function into a module that "
                "the guest can import"
            )

    def _imported(self, name: str, value: Any, user: types.FunctionType) -> None:
        origin, real = value.__module__, value.__qualname__
        if origin in (user.__module__, "__main__") or not real.isidentifier():
            raise CannotTravel(
                f"{user.__qualname__} uses {name} of its module, which cannot travel: put both "
                "into a module that the guest can import"
            )
        if origin != "builtins" or getattr(builtins, name, None) is not value:
            self._lines.insert(0, f"from {origin} import {real} as {name}")


def _text(function: types.FunctionType) -> str:
    name = function.__qualname__
    if function.__closure__ is not None or "<locals>" in name:
        raise CannotTravel(
            f"{name} is defined inside another function: define it at the top level of its module"
        )
    if "<" in name:
        raise CannotTravel("a lambda cannot travel: define a function with def")
    if "." in name:
        raise CannotTravel(f"{name} is defined in a class: define it at the top level")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise CannotTravel(f"{name} is asynchronous: pass a plain function")
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        raise CannotTravel(
            f"the source of {name} is not known: put it into a file, or name one by its import "
            "path ('module:function')"
        ) from None
    if not text.startswith("def "):
        raise CannotTravel(
            f"{name} is decorated or not at the top level: pass the plain function, or put it "
            "into a module that the guest can import"
        )
    return text


def _globals_of(code: types.CodeType) -> Iterable[str]:
    """The global names that code uses, functions within it included."""
    import dis

    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals_of(constant)


def _is_data(value: object, depth: int = 0) -> bool:
    """Whether its `repr` is a literal that means the same."""
    kind = type(value)
    if kind is float:
        import math

        return math.isfinite(value)  # type: ignore[arg-type]
    if kind in _DATA and kind is not complex:
        return True
    if depth > 8:
        return False
    if kind in (list, tuple):
        return all(_is_data(one, depth + 1) for one in value)  # type: ignore[attr-defined]
    if kind is dict:
        return all(
            _is_data(a, depth + 1) and _is_data(b, depth + 1)
            for a, b in value.items()  # type: ignore[attr-defined]
        )
    return False


@functools.lru_cache(maxsize=1)
def _distributions() -> dict[str, tuple[str, ...]]:
    """The normal names of the distributions that bring each top-level module."""
    from importlib.metadata import packages_distributions

    from belljar.policy.modules import normal

    return {
        module: tuple(normal(name) for name in names)
        for module, names in packages_distributions().items()
    }


def importable_by(granted: Iterable[str], injected: Iterable[str]) -> Callable[[str], bool]:
    """Whether a guest can import a module: of the standard library, granted, or injected."""
    from belljar.policy.modules import normal

    names = frozenset(map(normal, granted))
    own = frozenset(injected)

    def importable(module: str) -> bool:
        top = module.partition(".")[0]
        if module in own or top in own or top == "builtins" or top in sys.stdlib_module_names:
            return True
        if not names:
            return False
        return normal(top) in names or not names.isdisjoint(_distributions().get(top, ()))

    return importable
