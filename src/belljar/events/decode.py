"""Frames of the recorder to values; `docs/protocol.md` describes them.

The bytes come from the guest and may be anything: every function here returns a value of exactly
the promised types or raises `GuestProtocolError`, and nothing else.
"""

from __future__ import annotations

import struct

from belljar.errors import GuestProtocolError
from belljar.events.targets import BigInt, Cut, TypeName, resolve
from belljar.model import Event, Frame, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

HELLO, EVENT, BYE = 1, 2, 3
CHECK, REFUSED, TRUNCATED, FORKED = 1, 2, 4, 8

MAGIC: Final = 0x4A42
MAX_FRAME: Final = 4096
MAX_DEPTH: Final = 6  # the body, its arguments, and four levels within
MAX_ITEMS: Final = 1024
_HEADER: Final = struct.Struct("<HHBBHIIQQ")
_SURROGATES, _BIGINT, _TYPE, _CUT = 1, 2, 3, 4
_decoders: dict[bool, Callable[[bytes], Any]] = {}


class Header(Value):
    """The fixed part of a frame."""

    kind: int
    flags: int
    pid: int
    thread: int
    seq: int
    time: int


class Hello(Value):
    """The first frame of a process: after an exec, or after a fork when `forked`."""

    header: Header
    python: str
    ppid: int
    argv: tuple[str, ...]
    cwd: str | None
    drops: int
    forked: bool


class Bye(Value):
    """The last frame of a process that ended in order; `header.seq` is its last event's."""

    header: Header
    drops: int


def header(frame: bytes) -> Header:
    """The header of exactly one whole frame. Raises `GuestProtocolError`."""
    if not _HEADER.size <= len(frame) <= MAX_FRAME:
        raise GuestProtocolError(f"a frame of {len(frame)} bytes")
    magic, length, kind, flags, version, pid, thread, seq, time = _HEADER.unpack_from(frame)
    if magic != MAGIC or version not in (1, 2) or not HELLO <= kind <= 5:
        raise GuestProtocolError(f"a frame with magic {magic:#x}, version {version}, kind {kind}")
    if length != len(frame):
        raise GuestProtocolError(f"a frame of {len(frame)} bytes that claims {length}")
    return Header(kind, flags, pid, thread, seq, time)


def decode(frame: bytes) -> Event:
    """The event in one whole frame of kind EVENT, with right, target and asked resolved.

    Strings that the recorder cut are `Cut`, foreign objects `TypeName`, integers beyond 64 bits
    `BigInt`, arrays tuples. Raises `GuestProtocolError` for everything that is not such a frame.
    """
    head = header(frame)
    name, args, where, cwd = _body(frame, head, EVENT, 4)
    if type(name) is Cut:
        name = name.text
    if type(name) is not str or type(args) is not tuple:
        raise GuestProtocolError("an event without name and arguments")
    stack = () if where is None else (_frame(where),)
    cwd = _text(cwd, "the working directory") if cwd is not None else None
    known = cwd
    if name == "subprocess.Popen" and head.flags & TRUNCATED and args[2:3] in ((), (None,)):
        known = None  # the directory that it starts in may be what was cut away
    right, target, asked = resolve(name, args, known)[0]
    return Event(
        head.seq, head.time, head.pid, head.thread, name, args,
        right, target, asked, stack, cwd, bool(head.flags & REFUSED),
    )  # fmt: skip


def decode_hello(frame: bytes) -> Hello:
    """The greeting in one whole frame of kind HELLO. Raises `GuestProtocolError`."""
    head = header(frame)
    python, ppid, argv, cwd, drops = _body(frame, head, HELLO, 5)
    if type(argv) is not tuple:
        raise GuestProtocolError("a greeting without arguments")
    words = tuple(_text(word, "an argument") for word in argv if word is not None)
    return Hello(
        head, _text(python, "a version"), _count(ppid), words,
        None if cwd is None else _text(cwd, "the working directory"),
        _count(drops), bool(head.flags & FORKED),
    )  # fmt: skip


def decode_bye(frame: bytes) -> Bye:
    """The farewell in one whole frame of kind BYE. Raises `GuestProtocolError`."""
    head = header(frame)
    (drops,) = _body(frame, head, BYE, 1)
    return Bye(head, _count(drops))


def _body(frame: bytes, head: Header, kind: int, size: int) -> tuple[Any, ...]:
    if head.kind != kind:
        raise GuestProtocolError(f"a frame of kind {head.kind} where {kind} was due")
    body = _clean(_unpack(frame[_HEADER.size :]), 0)
    if type(body) is not tuple or len(body) != size:
        raise GuestProtocolError(f"a body that is not an array of {size}")
    return body


def _unpack(data: bytes, *, inner: bool = False) -> object:
    if not _decoders:
        import msgspec

        _decoders[False] = msgspec.msgpack.Decoder(ext_hook=_extension).decode
        _decoders[True] = msgspec.msgpack.Decoder(ext_hook=_inner_extension).decode
    try:
        return _decoders[inner](data)
    except GuestProtocolError:
        raise
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise GuestProtocolError(f"a body that is not MessagePack: {error}") from None


def _extension(code: int, data: memoryview) -> object:
    raw = bytes(data)
    try:
        if code == _SURROGATES:
            return raw.decode("utf-8", "surrogatepass")
        if code == _TYPE:
            return TypeName(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise GuestProtocolError(f"text that is not UTF-8 in extension {code}") from None
    if code == _BIGINT:
        return BigInt(_int(_unpack(raw, inner=True)))
    if code == _CUT:
        inner = _unpack(raw, inner=True)
        if type(inner) is list and len(inner) == 2:
            text = inner[0]
            if type(text) is bytes:
                text = text.decode("utf-8", "surrogateescape")
            if type(text) is str:
                return Cut(text, _count(inner[1]))
    raise GuestProtocolError(f"an unknown or malformed extension {code}")


def _inner_extension(code: int, data: memoryview) -> object:
    if code != _SURROGATES:  # so that extensions never nest further
        raise GuestProtocolError(f"an extension {code} within an extension")
    return _extension(code, data)


def _clean(value: Any, depth: int) -> Any:
    """Only the types of the protocol, lists as tuples."""
    kind = type(value)
    if kind is list:
        if depth >= MAX_DEPTH or len(value) > MAX_ITEMS:
            raise GuestProtocolError("an array that is too deep or too long")
        return tuple(_clean(item, depth + 1) for item in value)
    if kind in _PLAIN or value is None:
        return value
    raise GuestProtocolError(f"a value of type {kind.__name__}")


_PLAIN: Final = frozenset((str, int, float, bool, bytes, TypeName, BigInt, Cut))


def _frame(where: object) -> Frame:
    if type(where) is tuple and len(where) == 3:
        file, line, function = where
        return Frame(_text(file, "a file"), _int(line), _text(function, "a function"))
    raise GuestProtocolError("a stack frame that is not file, line and function")


def _text(value: object, what: str) -> str:
    if type(value) is Cut:
        return f"{value.text}…"
    if type(value) is not str:
        raise GuestProtocolError(f"{what} that is not text")
    return value


def _int(value: object) -> int:
    if type(value) is not int:
        raise GuestProtocolError("a number that is no integer")
    return value


def _count(value: object) -> int:
    number = _int(value)
    if number < 0:
        raise GuestProtocolError("a negative count")
    return number
