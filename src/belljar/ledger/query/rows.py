"""Entries as rows of typed columns, fast: for the index that `belljar log query` asks.

Most of what programs do they do again and again, and an event's body (all of its frame but
process, thread, number and time) tells so byte for byte. So each body is decoded once, and an
entry is some numbers and a reference to its body. What this says of a body is what
`belljar.ledger.entries` says; `tests/unit/ledger/test_rows.py` compares the two.
"""

from __future__ import annotations

import json

import msgspec

from belljar.events.catalogue import BY_NAME, category
from belljar.events.paths import is_normal
from belljar.events.syscalls import Syscall
from belljar.events.targets import open_rights, resolve
from belljar.events.values import Socket
from belljar.ledger.entries import expand, plain
from belljar.ledger.format import EVENTS
from belljar.ledger.reader import Record
from belljar.model import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from belljar.events.targets import Resolved
    from belljar.ledger.entries import Entry

    _Shape = tuple[int, str | None, str, str]

#: The kinds of entries; the index has the number of each, which never changes.
KINDS: Final = (
    "broken", "hello", "event", "bye", "loss", "syscall", "start", "decision", "end", "recovered",
    "closed", "pruned", "epoch", "sender",
)  # fmt: skip
_CODES: Final = {name: code for code, name in enumerate(KINDS)}
OTHER: Final = 99  # a kind that is later than this list
#: The columns of a body, in the order of the tuples below.
BODY: Final = (
    "name", "category", "access", "target", "asked", "refused", "file", "line", "function", "cwd",
    "args", "stack", "data", "reason", "bytes",
)  # fmt: skip
_NONE: Final = (None,) * len(BODY)
#: What is left to say of a system call; process, thread, number and time are the entry's.
_CALL: Final = ("start", "ppid", "number", "other", "asked_other", "cut")
_EVENT, _SYSCALL = 2, 5
_REFUSED, _TRUNCATED = 2, 4
_MOST_KNOWN: Final = 100_000
_MOST_VERSION: Final = 3
_MOST_BYTES: Final = 48 << 20
_MOST_ARGUMENTS: Final = 64
_MOST_NESTED: Final = 8  # values of an argument that is an array: an address
_MOST_NAMES: Final = 4096
_SIMPLE: Final = frozenset((str, int, bool, type(None)))
_MAX: Final = (1 << 63) - 1
_MOST_BODY: Final = 4064
_SOCKET: Final = 7


class Numbers:
    """The frames of one record: what of them are numbers, ready for numpy.

    `heads` is their 32-byte headers one after the other, `bodies` the number of each one's body,
    `other` what does not follow the header: (place in the record, entry).
    """

    __slots__ = ("bodies", "heads", "other", "record")

    def __init__(
        self, record: Record, heads: bytes, bodies: list[int], other: list[tuple[int, Entry]]
    ) -> None:
        self.record, self.heads, self.bodies, self.other = record, heads, bodies, other


class Bodies:
    """Decodes bodies, each once while it is remembered, and numbers them from `first` on.

    `rows` collects what is new, tuples as `BODY` says, for the caller to take. What is remembered
    is bounded; a body that was forgotten is decoded and numbered again.
    """

    def __init__(self, first: int = 0) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.next = first
        self._known: dict[bytes, dict[bytes, int]] = {}
        self._size = self._count = 0
        self._decode = msgspec.msgpack.Decoder(ext_hook=_extension).decode
        self._shapes: dict[str, _Shape] = {}
        self._opens: dict[tuple[object, ...], str] = {}
        self._json: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=plain).encode

    def frames(self, record: Record) -> Numbers | None:
        """The entries of an EVENTS record; None where its bytes and its count do not agree."""
        payload = record.payload
        end, at = len(payload), 0
        heads: list[bytes] = []
        bodies: list[int] = []
        other: list[tuple[int, int]] = []
        last: bytes = b""
        known: dict[bytes, int] = {}
        while at < end:
            behind = at + int.from_bytes(payload[at + 2 : at + 4], "little")
            start = at + 32
            if behind < start or behind > end:
                return None
            head = payload[at:start]
            heads.append(head)
            what = head[4:8]
            if what != last:
                last, known = what, self._bodies_of(what)
            body = payload[start:behind]
            number = known.get(body)
            if number is None:
                number = self._new(known, what, body, record, at)
                if number < 0:
                    other.append((len(bodies), at))
            bodies.append(number)
            at = behind
        joined = b"".join(heads)
        if len(bodies) != record.count or joined[0::32].count(b"B") != record.count:
            return None
        if joined[1::32].count(b"J") != record.count:
            return None
        return Numbers(record, joined, bodies, [self._other(record, *where) for where in other])

    def entry(self, entry: Entry) -> int:
        """The number of the body of one entry, however it was found."""
        return self._add(_row(entry))

    def _bodies_of(self, what: bytes) -> dict[bytes, int]:
        """The numbers of the bodies that follow these four bytes of a header. A guest may say any:
        there are 2**32, and only those that are of our protocol are remembered."""
        ours = what[0] in (_EVENT, _SYSCALL) and what[2] <= _MOST_VERSION and not what[3]
        return self._known.setdefault(what, {}) if ours else {}

    def _other(self, record: Record, place: int, at: int) -> tuple[int, Entry]:
        payload, number = record.payload, record.first + place
        frame = payload[at : at + int.from_bytes(payload[at + 2 : at + 4], "little")]
        one = Record(record.offset, EVENTS, record.run, number, 1, record.time, frame)
        return place, next(expand(one))

    def _new(
        self, known: dict[bytes, int], what: bytes, body: bytes, record: Record, at: int
    ) -> int:
        """Decode and remember a body; -1 for one that says something of its header, too."""
        kind = what[0]
        row = None
        plain_event = kind == _EVENT and what[2:] == b"\2\0" and not what[1] & _TRUNCATED
        if plain_event and len(body) <= _MOST_BODY:
            row = self._event(what[1], body)
        if row is None:
            if kind not in (_EVENT, _SYSCALL):
                return -1
            frame = record.payload[at : at + 32 + len(body)]
            entry = next(expand(Record(0, EVENTS, bytes(16), 1, 1, 0, frame)))
            if entry.kind == "broken":
                return -1
            row = _row(entry)
        if self._count >= _MOST_KNOWN or self._size >= _MOST_BYTES:
            for one in self._known.values():
                one.clear()
            self._count = self._size = 0
        self._count += 1
        self._size += len(body)
        number = known[body] = self.next
        self.rows.append(row)
        self.next += 1
        return number

    def _add(self, row: tuple[Any, ...]) -> int:
        self.rows.append(row)
        self.next += 1
        return self.next - 1

    def _event(self, flags: int, body: bytes) -> tuple[Any, ...] | None:
        """The row of an event of plain values only; None for all others: `decode` has the word."""
        try:
            value = self._decode(body)
        except (ValueError, TypeError, RecursionError, OverflowError):
            return None
        if type(value) is not list or not 4 <= len(value) <= 7:
            return None
        name, args, where, base = value[:4]
        if type(name) is not str or type(args) is not list or len(args) > _MOST_ARGUMENTS:
            return None
        nested = False
        if not _SIMPLE.issuperset(map(type, args)):
            for one in args:
                if type(one) is list:
                    if len(one) > _MOST_NESTED or not _SIMPLE.issuperset(map(type, one)):
                        return None
                    nested = True
                elif type(one) is not Socket and type(one) not in _SIMPLE:
                    return None
        if base is not None and type(base) is not str:
            return None
        file = function = line = real = None
        if where is not None:
            if type(where) is not list or len(where) != 3:
                return None
            file, line, function = where
            if type(file) is not str or type(line) is not int or type(function) is not str:
                return None
            line = line if -_MAX < line < _MAX else None
        if len(value) > 4:
            slot = value[4]
            if slot is not None and (type(slot) is not int or slot < 0):
                return None
            if len(value) > 5 and value[5] is not None:
                return None
            if len(value) > 6:
                real = value[6]
                if real is not None and type(real) is not str:
                    return None
        shape = self._shapes.get(name)
        if shape is None:
            shape = _shape(name)
            if len(self._shapes) < _MOST_NAMES:
                self._shapes[name] = shape
        right, target, asked = self._about(name, args, base, shape, nested)
        return (
            name, shape[3], right, target if real is None else real, asked,
            bool(flags & _REFUSED), file, line, function, base,
            self._json(args).decode(), None, None, None, None,
        )  # fmt: skip

    def _about(
        self, name: str, args: list[Any], base: str | None, shape: _Shape, nested: bool
    ) -> Resolved:
        """Right, target and asked, as `resolve` has them; most of what there is without it."""
        index, right, how, _category = shape
        value = args[index] if 0 <= index < len(args) else None
        if type(value) is not str or not value or not how:
            if nested:
                args = [tuple(one) if type(one) is list else one for one in args]
            return resolve(name, tuple(args), base)[0]
        if how == "text":
            return right, value, value
        if not is_normal(value):
            if nested:
                args = [tuple(one) if type(one) is list else one for one in args]
            return resolve(name, tuple(args), base)[0]
        return (right if how == "path" else self._opening(args)), value, value

    def _opening(self, args: list[Any]) -> str:
        mode, flags = (*args, None, None)[1:3]
        key = mode, flags, type(mode), type(flags)
        right = self._opens.get(key)
        if right is None:
            right = open_rights(mode, flags)[0]
            if len(self._opens) < _MOST_NAMES:
                self._opens[key] = right
        return right


def _shape(name: str) -> _Shape:
    """Which argument is the target, the right, how the two are told where that is simple, and the
    category."""
    row = BY_NAME.get(name)
    if row is None or name in ("belljar.denied", "sqlite3.connect"):
        return -1, None, "", category(name)
    right, index, kind = row[2], row[3], row[4]
    if name in ("open", "belljar.open"):
        return index, None, "open", kind
    if right in ("connect", "bind", "resolve", "run", "signal", "native"):
        return -1, None, "", kind
    if right in ("read", "list", "write", "append", "execute") or (kind == "file" and index >= 0):
        return index, right or None, "path", kind
    return index, right or None, "text", kind


def text_of_json(value: Any) -> str:
    """`value` (from `plain`) as JSON that every parser takes: no lone surrogates, one line.

    >>> text_of_json({"a": "\\udcff"})
    '{"a":"\\\\\\\\udcff"}'
    """
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, ValueError, TypeError, OverflowError, RecursionError):
        return json.dumps(sound(value), separators=(",", ":"), ensure_ascii=False)


def sound(value: Any) -> Any:
    """`value` with what is no UTF-8 spelled out (`\\\\udcff`): no column and no parser has a place
    for it.

    >>> sound(["\\udcff", 1])
    ['\\\\udcff', 1]
    """
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [sound(item) for item in value]
    if isinstance(value, dict):
        return {sound(key): sound(item) for key, item in value.items()}
    return value


def number(value: object, least: int = -_MAX, most: int = _MAX - 1) -> int | None:
    """`value` where it is a whole number that a column can hold, else None."""
    return value if type(value) is int and least <= value <= most else None


def text(value: object) -> str | None:
    """`value` as a text column has it; what is no text as JSON; None for None."""
    if value is None:
        return None
    found: str = sound(value) if isinstance(value, str) else text_of_json(plain(value))
    return found


def code(kind: str) -> int:
    """The number that the index has for a kind of entry."""
    return _CODES.get(kind, OTHER)


def _row(entry: Entry) -> tuple[Any, ...]:
    data = entry.data
    if entry.kind == "broken":
        return (*_NONE[:13], sound(entry.reason), entry.raw)
    if isinstance(data, Event):
        frame = data.stack[0] if data.stack else None
        where = (text(frame.file), number(frame.line), text(frame.function)) if frame else _NONE[:3]
        stack = text_of_json(plain(data.frames)) if data.frames else None
        return (
            text(data.name), category(data.name), data.right, text(data.target), text(data.asked),
            data.refused, *where, text(data.cwd), text_of_json(plain(data.args)), stack,
            None, None, None,
        )  # fmt: skip
    if isinstance(data, Syscall):
        rest = text_of_json({name: plain(getattr(data, name)) for name in _CALL})
        named = (data.name, data.kind, None, text(data.target) or None, text(data.asked) or None)
        return (*named, None, *_NONE[6:12], rest, None, None)
    return (*_NONE[:12], text_of_json(plain(data)), None, None)


def _extension(code: int, data: memoryview) -> object:
    """A socket, which is what most extensions are."""
    if code == _SOCKET:
        parts = msgspec.msgpack.decode(data)
        if type(parts) is list and list(map(type, parts)) == [str, int, int]:
            return Socket(*parts)
    raise ValueError(f"extension {code}")
