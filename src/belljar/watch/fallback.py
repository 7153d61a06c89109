"""The recorder where the native one cannot be loaded: an audit hook in Python.

It has the same interface and the same rule, that nothing of the program's is asked for anything:
exact builtin types are copied, everything else is named by its type. It is the weaker one, and says
why in `weaker`: code that runs in the same interpreter can see it and be seen by it.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import get_ident, get_native_id
from collections import deque

from belljar.errors import BelljarError
from belljar.events.targets import BigInt, Cut, TypeName, resolve, text_of
from belljar.model import Event, Frame
from belljar.policy.glob import Globs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import Any, Final

REASONS: Final = (
    "a Python hook records, which is weaker: it sees no subinterpreters and nothing of the"
    " interpreter's start and end, other hooks see it at work, and the program can reach it"
)

#: As in the native encoder: text of 1,024 bytes, 64 items, 4 levels.
_TEXT, _ITEMS, _DEPTH, _FILE = 1024, 64, 4, 512
#: The first argument is kept this far only, or only so many arguments are.
_FIRST: Final = {"compile": 256, "marshal.loads": 32, "code.__new__": 32}
_TOLD: Final = {"import": 2, "os.putenv": 1}
#: What an event is taken to hold, besides its text.
_BASE = 128
_FAR = 64

_readers: list[Weaker] = []
_busy: set[int] = set()
_state = {"added": False}


class Weaker:
    """A `Source` for `watching()`, by `sys.addaudithook`."""

    def __init__(self, patterns: Sequence[str], room: int, stacks: int, why: str) -> None:
        self.weaker = f"{why}; {REASONS}" if why else REASONS
        self._globs = Globs(tuple(patterns))
        self._room = room
        self._stacks = stacks
        self._events: deque[tuple[int, Event]] = deque()
        self._held = self._drops = self._seq = 0
        if not _state["added"]:
            sys.addaudithook(_hook)
            sys.audit("belljar.hook")  # one that was refused by RuntimeError is dropped silently
        if not _state["added"]:
            raise BelljarError(
                "cannot record this process: an audit hook of this process refused the recorder's"
            )
        self._warn()
        _readers.append(self)

    def _warn(self) -> None:
        import warnings

        warnings.warn(f"belljar.watching(): {self.weaker}", RuntimeWarning, stacklevel=5)

    def take(self) -> tuple[list[Event], int, int]:
        """New events, the bytes they are taken to hold, and how many were lost so far."""
        found = []
        total = 0
        while self._events:
            size, event = self._events.popleft()
            total += size
            found.append(event)
        return found, total, self._drops

    def events(self, what: list[Event]) -> list[Event]:
        """What was taken are events already."""
        return what

    def release(self, size: int) -> None:
        """The bytes of events that nobody holds any longer."""
        self._held -= size

    def close(self) -> None:
        """Stop recording. The hook stays, since none can be removed, and does nothing."""
        if self in _readers:
            _readers.remove(self)

    def wants(self, name: str) -> bool:
        """Is an event of this name asked for?"""
        return self._globs.match(name)

    def keep(self, event: Event, frames: tuple[Frame, ...], size: int) -> None:
        """Add an event, unless there is no room for it."""
        self._seq += 1
        if self._held + size > self._room:
            self._drops += 1
            return
        self._held += size
        self._events.append((size, event.replace(seq=self._seq, frames=frames[: self._stacks])))

    @property
    def stacks(self) -> int:
        """How many frames are asked for."""
        return self._stacks


def _hook(name: str, args: tuple[Any, ...]) -> None:
    thread = get_ident()
    _state["added"] = True
    if not _readers or thread in _busy:
        return
    _busy.add(thread)  # what we ask the interpreter for raises events, too
    try:
        wanting = [reader for reader in _readers if reader.wants(name)]
        if wanting:
            event, frames, size = _event(name, args, max(reader.stacks for reader in wanting))
            for reader in wanting:
                reader.keep(event, frames, size)
    finally:
        _busy.discard(thread)


def _event(name: str, args: tuple[Any, ...], stacks: int) -> tuple[Event, tuple[Frame, ...], int]:
    told = _TOLD.get(name, len(args))
    first = _FIRST.get(name, _TEXT)
    kept = tuple(
        snapshot(value, first if at == 0 else _TEXT) if at < told else None
        for at, value in enumerate(args[:_ITEMS])
    )
    nearest, frames = _stack(sys._getframe(2), stacks)
    cwd = _cwd() if any(_relative(value) for value in kept) else None
    right, target, asked = resolve(name, kept, cwd)[0]
    thread = get_native_id()
    event = Event(
        0, time.time_ns(), os.getpid(), thread, name, kept, right, target, asked, nearest, cwd
    )
    return event, frames, _BASE + _FAR * len(frames) + _size(kept)


def snapshot(value: Any, most: int = _TEXT, depth: int = 1) -> Any:
    """A copy of an argument that holds nothing of the program's: exact builtin values, cut where
    they are long, the keys of a dict, and `TypeName` for all else.

    >>> snapshot((1, [2**70], object()))
    (1, (BigInt(bits=71),), TypeName(name='object'))
    """
    kind = type(value)
    if kind is str or kind is bytes:
        if len(value) <= most:
            return value
        part = value[:most]
        return Cut(part if kind is str else part.decode("utf-8", "surrogateescape"), len(value))
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        bits = value.bit_length()
        return value if bits < 64 else BigInt(-bits if value < 0 else bits)
    if kind is tuple or kind is list or kind is dict:  # not `in`: that asks a metaclass's __eq__
        if depth >= _DEPTH:
            return None
        items = list(value)[:_ITEMS]  # of a dict the keys: never an environment
        return tuple(snapshot(item, most, depth + 1) for item in items)
    name = type.__dict__["__name__"].__get__(kind)  # not what a metaclass calls it
    return TypeName(name if type(name) is str and len(name) <= 128 else "?")


def _stack(frame: FrameType | None, stacks: int) -> tuple[tuple[Frame, ...], tuple[Frame, ...]]:
    found: list[Frame] = []
    while frame is not None and len(found) < max(stacks, 1):
        code = frame.f_code
        file = code.co_filename if type(code.co_filename) is str else "?"
        name = code.co_name if type(code.co_name) is str else "?"
        if not file.startswith("<frozen importlib"):
            found.append(Frame(file[:_FILE], frame.f_lineno or 0, name[:128]))
        frame = frame.f_back
    return tuple(found[:1]), tuple(found)


def _relative(value: object) -> bool:
    text = text_of(value)
    return bool(text) and not text.startswith("/") if text is not None else False


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _size(value: Any) -> int:
    if isinstance(value, tuple):
        return sum(map(_size, value), 16)
    return len(value) if isinstance(value, (str, bytes)) else 16
