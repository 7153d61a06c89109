"""What a sandbox shows to the code in it, for editors and type checkers.

There is no such module outside of a sandbox. In `belljar run` it has `narrow` alone.
"""

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, Self, TypeAlias

_Texts: TypeAlias = str | PathLike[str] | Iterable[str | PathLike[str]]
_Words: TypeAlias = str | list[str] | tuple[str, ...]
_Number: TypeAlias = str | int | float

class HostError(Exception):
    """What the host refused, or a host function raised: the name of its type, and a message."""

    type_name: str
    def __init__(self, type_name: str, message: str) -> None: ...

class Limited(HostError):
    """A limit of the host's is used up."""

class HostObject:
    """Something that the host shares: its listed methods and attributes, and no others."""

    aio: Any
    """The same methods, to be awaited."""
    def __getattr__(self, name: str) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

class _Host:
    """What the host shares, by name."""

    def __getattr__(self, name: str) -> Any: ...

host: _Host
"""What the host shares, by name; also a built-in name of every live sandbox."""

class Sandbox:
    """A sandbox made by the host, with some of this one's grants and limits. Raises
    PermissionError for more than this sandbox has itself."""

    def __init__(
        self,
        *,
        read: _Words = ...,
        write: _Words = ...,
        append: _Words = ...,
        connect: _Words = ...,
        import_: _Words = ...,
        memory: _Number = ...,
        cpu: _Number = ...,
        wall: _Number = ...,
        output: _Number = ...,
        disk: _Number = ...,
        open_files: int = ...,
        threads: int = ...,
        processes: int = ...,
        connections: int = ...,
    ) -> None: ...
    def run(self, source: str) -> dict[str, Any]:
        """Run source: `value`, `error` (type and text, or None), `status`, `ended_by`, `stdout`
        and `stderr`."""
    def eval(self, expression: str) -> Any:
        """The value of an expression."""
    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of it by name."""
    def put(self, name: str, value: Any) -> None:
        """Set a variable."""
    def get(self, name: str) -> Any:
        """The value of a variable."""
    def reset(self) -> None:
        """Forget the variables."""
    def share(self, name: str, functions: dict[str, Any]) -> None:
        """Let it call functions of this one, as `host.<name>.<function>`."""
    def close(self) -> None:
        """End it."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *about: object) -> None: ...

def narrow(
    policy: Mapping[str, Any] | None = None,
    *,
    read: _Texts = ...,
    write: _Texts = ...,
    append: _Texts = ...,
    overlay: _Texts = ...,
    devices: _Texts = ...,
    run: _Texts = ...,
    connect: _Texts = ...,
    bind: _Texts = ...,
    import_: _Texts = ...,
    memory: _Number = ...,
    cpu: _Number = ...,
    wall: _Number = ...,
    output: _Number = ...,
    open_files: int = ...,
    threads: int = ...,
    processes: int = ...,
) -> dict[str, tuple[str, str, str]]:
    """Keep only the grants that are named, and lower limits; for good. What holds each right now:
    level, mechanism, reason. See docs/narrow.md."""

def array(shape: int | Iterable[int], dtype: Any = "float64", order: str = "C") -> Any:
    """A numpy array of zeros that the host takes over without a copy when it is returned."""
