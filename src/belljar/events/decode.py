"""Frames of the recorder to values; `docs/protocol.md` describes them.

The bytes come from the guest and may be anything: every function here returns a value of exactly
the promised types or raises `GuestProtocolError`, and nothing else.
"""

from __future__ import annotations

import struct

from belljar._native import unpack
from belljar.errors import GuestProtocolError
from belljar.events.targets import BigInt, Code, Cut, Socket, TypeName, resolve
from belljar.model import Event, Frame, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

HELLO, EVENT, BYE, LOSS, SYSCALL = 1, 2, 3, 4, 5
CHECK, REFUSED, TRUNCATED, FORKED, ASK, SILENCED = 1, 2, 4, 8, 16, 32

MAGIC: Final = 0x4A42
MAX_FRAME: Final = 4096
MAX_DEPTH: Final = 6  # the body, its arguments, and four levels within
MAX_ITEMS: Final = 1024
_HEADER: Final = struct.Struct("<HHBBHIIQQ")
MAX_STACK: Final = 32
MAX_LOCALS: Final = 8
_SURROGATES, _BIGINT, _TYPE, _CUT, _CODE, _SOURCE, _SOCKET = 1, 2, 3, 4, 5, 6, 7
_DIGEST: Final = 32


class Header(Value):
    """The fixed part of a frame."""

    kind: int
    flags: int
    pid: int
    thread: int
    seq: int
    time: int
    version: int = 2


class Hello(Value):
    """The first frame of a process: after an exec, or after a fork when `forked`.

    `executable` is the interpreter's file, `uid` the user (-1: not told), `start` when the process
    began, in clock ticks since boot (0: not known): it tells apart processes of the same pid.
    """

    header: Header
    python: str
    ppid: int
    argv: tuple[str, ...]
    cwd: str | None
    drops: int
    forked: bool
    executable: str | None = None
    uid: int = -1
    start: int = 0


class Bye(Value):
    """The last frame of a process that ended in order; `header.seq` is its last event's."""

    header: Header
    drops: int


class Loss(Value):
    """`count` events were not delivered, the last of them number `header.seq`."""

    header: Header
    count: int


def header(frame: bytes) -> Header:
    """The header of exactly one whole frame. Raises `GuestProtocolError`."""
    if not _HEADER.size <= len(frame) <= MAX_FRAME:
        raise GuestProtocolError(f"a frame of {len(frame)} bytes")
    magic, length, kind, flags, version, pid, thread, seq, time = _HEADER.unpack_from(frame)
    last = {1: BYE, 2: SYSCALL}.get(version, 0)
    if magic != MAGIC or not HELLO <= kind <= last:
        raise GuestProtocolError(f"a frame with magic {magic:#x}, version {version}, kind {kind}")
    if length != len(frame):
        raise GuestProtocolError(f"a frame of {len(frame)} bytes that claims {length}")
    return Header(kind, flags, pid, thread, seq, time, version)


def decode(frame: bytes) -> Event:
    """The event in one whole frame of kind EVENT, with right, target and asked resolved.

    Strings that the recorder cut are `Cut`, foreign objects `TypeName`, integers beyond 64 bits
    `BigInt`, code objects `Code`, sockets `Socket`, arrays tuples. `Event.cwd` is the directory
    that the event's relative path starts from, or what its descriptor stands for.
    Raises `GuestProtocolError` for everything that is not such a frame.
    """
    head = header(frame)
    body = _body(frame, head, EVENT, 4, 7)
    name, args, where, cwd, _, frames, real = body + (None,) * (7 - len(body))
    if type(name) is Cut:
        name = name.text
    if type(name) is not str or type(args) is not tuple:
        raise GuestProtocolError("an event without name and arguments")
    stack = () if where is None else (_frame(where),)
    if type(cwd) is bytes:
        cwd = _text(cwd, "the working directory")
    known = cwd if type(cwd) is str else None  # of one that was cut, the rest is missing
    cwd = _text(cwd, "the working directory") if cwd is not None else None
    if len(body) > 4 and body[4] is not None:
        _count(body[4])
    if name == "subprocess.Popen" and head.flags & TRUNCATED and args[2:3] in ((), (None,)):
        known = None  # the directory that it starts in may be what was cut away
    if head.version == 1 and name in ("os.rename", "os.link") and args[3:4] != (-1,):
        known = None  # it may be the one of the first path alone
    right, target, asked = resolve(name, args, known)[0]
    if real is not None:
        target = _text(real, "a path")
    return Event(
        head.seq, head.time, head.pid, head.thread, name, args,
        right, target, asked, stack, cwd, bool(head.flags & REFUSED), _frames(frames),
    )  # fmt: skip


def decode_hello(frame: bytes) -> Hello:
    """The greeting in one whole frame of kind HELLO. Raises `GuestProtocolError`."""
    head = header(frame)
    body = _body(frame, head, HELLO, 5, 8)
    python, ppid, argv, cwd, drops = body[:5]
    executable, uid, start = body[5:] + (None, None, None)[len(body) - 5 :]
    if type(argv) is not tuple:
        raise GuestProtocolError("a greeting without arguments")
    words = tuple(_text(word, "an argument") for word in argv if word is not None)
    return Hello(
        head, _text(python, "a version"), _count(ppid), words,
        None if cwd is None else _text(cwd, "the working directory"),
        _count(drops), bool(head.flags & FORKED),
        None if executable is None else _text(executable, "the executable"),
        -1 if uid is None else _count(uid), 0 if start is None else _count(start),
    )  # fmt: skip


def decode_bye(frame: bytes) -> Bye:
    """The farewell in one whole frame of kind BYE. Raises `GuestProtocolError`."""
    head = header(frame)
    (drops,) = _body(frame, head, BYE, 1, 1)
    return Bye(head, _count(drops))


def decode_loss(frame: bytes) -> Loss:
    """The admission of a loss in one whole frame of kind LOSS. Raises `GuestProtocolError`."""
    head = header(frame)
    (count,) = _body(frame, head, LOSS, 1, 1)
    if not 0 < _count(count) <= head.seq:
        raise GuestProtocolError(f"a loss of {count} events up to number {head.seq}")
    return Loss(head, count)


def _body(frame: bytes, head: Header, kind: int, least: int, most: int) -> tuple[Any, ...]:
    if head.kind != kind:
        raise GuestProtocolError(f"a frame of kind {head.kind} where {kind} was due")
    body = _unpack(frame[_HEADER.size :], _extension)
    if head.version == 1:
        most = least
    if type(body) is not tuple or not least <= len(body) <= most:
        raise GuestProtocolError(f"a body that is not an array of {least} to {most}")
    return body


def _unpack(data: bytes, extension: Callable[[int, bytes], object]) -> object:
    try:
        return unpack(data, extension, MAX_DEPTH, MAX_ITEMS)
    except ValueError as error:
        raise GuestProtocolError(f"a body that is not as it should be: {error}") from None


def _extension(code: int, raw: bytes) -> object:
    try:
        if code == _SURROGATES:
            return raw.decode("utf-8", "surrogatepass")
        if code == _TYPE:
            return TypeName(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise GuestProtocolError(f"text that is not UTF-8 in extension {code}") from None
    if code == _BIGINT:
        return BigInt(_int(_unpack(raw, _inner_extension)))
    if code in _PARTS:
        return _compound(code, _unpack(raw, _inner_extension))
    raise GuestProtocolError(f"an unknown or malformed extension {code}")


def _compound(code: int, parts: object) -> object:
    if type(parts) is not tuple or len(parts) != _PARTS[code]:
        raise GuestProtocolError(f"a malformed extension {code}")
    first = parts[0]
    if code in (_CUT, _SOURCE):
        if type(first) is bytes:
            first = first.decode("utf-8", "surrogateescape")
        digest = parts[2] if code == _SOURCE else bytes(_DIGEST)
        if type(digest) is not bytes or len(digest) != _DIGEST:
            raise GuestProtocolError("a digest that is not 32 bytes")
        if type(first) is str:
            return Cut(first, _count(parts[1]), digest if code == _SOURCE else b"")
    elif code == _CODE and type(first) is type(parts[1]) is str:
        return Code(first, parts[1], _int(parts[2]))
    elif code == _SOCKET and type(first) is str:
        return Socket(first, _int(parts[1]), _int(parts[2]))
    raise GuestProtocolError(f"a malformed extension {code}")


def _inner_extension(code: int, raw: bytes) -> object:
    if code != _SURROGATES:  # so that extensions never nest further
        raise GuestProtocolError(f"an extension {code} within an extension")
    return _extension(code, raw)


#: How many parts the extensions have that are arrays.
_PARTS: Final = {_CUT: 2, _SOURCE: 3, _CODE: 3, _SOCKET: 3}
_SIMPLE: Final = frozenset((str, int, float, bool, bytes, type(None), BigInt, Cut))


def _frame(where: object) -> Frame:
    if type(where) is tuple and len(where) == 3:
        file, line, function = where
        return Frame(_text(file, "a file"), _int(line), _text(function, "a function"))
    raise GuestProtocolError("a stack frame that is not file, line and function")


def _frames(stack: object) -> tuple[Frame, ...]:
    if stack is None:
        return ()
    if type(stack) is not tuple or len(stack) > MAX_STACK:
        raise GuestProtocolError("a stack that is not an array of frames")
    return tuple(_frame_with_locals(one) for one in stack)


def _frame_with_locals(where: object) -> Frame:
    if type(where) is not tuple or len(where) != 4:
        return _frame(where)
    values = where[3]
    if type(values) is not tuple or len(values) % 2 or len(values) > 2 * MAX_LOCALS:
        raise GuestProtocolError("local variables that are not names and values")
    for value in values[1::2]:
        if type(value) not in _SIMPLE:
            raise GuestProtocolError("a local variable that is no simple value")
    names = [_text(name, "a name") for name in values[::2]]
    return _frame(where[:3]).replace(values=tuple(zip(names, values[1::2], strict=True)))


def _text(value: object, what: str) -> str:
    if type(value) is Cut:
        return f"{value.text}…"
    if type(value) is bytes:  # of the system, and no UTF-8
        return value.decode("utf-8", "surrogateescape")
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
