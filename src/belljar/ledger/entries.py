"""Records to single entries: the numbered things that `#412` means.

Payloads hold what the guest said. Nothing here trusts them: what does not decode is given as raw
bytes with the reason, and a record yields exactly as many entries as its header counts.
"""

from __future__ import annotations

import math
import struct

from belljar.errors import GuestProtocolError, LedgerError
from belljar.ledger.format import DECISIONS, EVENTS, KINDS
from belljar.ledger.reader import Reader, Record
from belljar.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

#: magic, length, kind, flags, version, pid, thread, seq, time (docs/protocol.md)
_FRAME: Final = struct.Struct("<HHBBHIIQQ")
_FRAME_MAGIC: Final = 0x4A42
_FRAME_KINDS: Final = {1: "hello", 2: "event", 3: "bye", 4: "loss", 5: "syscall"}
_DEEPEST: Final = 32
#: A payload of maps that is longer than this many bytes has at most that many values.
_FEW: Final = 1 << 16
_MOST_VALUES: Final = 1 << 18
#: What MessagePack's longer forms begin with: bytes of the size, bytes besides, values an item.
_SIZED: Final = {
    0xC4: (1, 0, 0), 0xC5: (2, 0, 0), 0xC6: (4, 0, 0), 0xC7: (1, 1, 0), 0xC8: (2, 1, 0),
    0xC9: (4, 1, 0), 0xCA: (0, 4, 0), 0xCB: (0, 8, 0), 0xCC: (0, 1, 0), 0xCD: (0, 2, 0),
    0xCE: (0, 4, 0), 0xCF: (0, 8, 0), 0xD0: (0, 1, 0), 0xD1: (0, 2, 0), 0xD2: (0, 4, 0),
    0xD3: (0, 8, 0), 0xD4: (0, 2, 0), 0xD5: (0, 3, 0), 0xD6: (0, 5, 0), 0xD7: (0, 9, 0),
    0xD8: (0, 17, 0), 0xD9: (1, 0, 0), 0xDA: (2, 0, 0), 0xDB: (4, 0, 0), 0xDC: (2, 0, 1),
    0xDD: (4, 0, 1), 0xDE: (2, 0, 2), 0xDF: (4, 0, 2),
}  # fmt: skip


class Entry(Value):
    """One numbered entry. `kind` is start, hello, event, bye, loss, syscall, decision, end,
    recovered, closed, pruned, epoch, sender or broken.

    `time` is the guest's clock for what it sent and the host's for the rest; `recorded`
    is always the host's, when the entry was written; both in nanoseconds since 1970. `data` is
    what was decoded: a map, or a value of `belljar.events`. A broken entry has None there, and
    `raw` and `reason`.
    """

    number: int
    kind: str
    time: int
    recorded: int
    run: bytes
    data: Any = None
    pid: int = 0
    thread: int = 0
    seq: int = 0
    raw: bytes = b""
    reason: str = ""

    def plain(self) -> dict[str, Any]:
        """The entry as JSON values with stable keys, untrusted text as it is."""
        found = {
            "entry": self.number,
            "kind": self.kind,
            "time": self.time,
            "recorded": self.recorded,
            "run": self.run.hex(),
        }
        if self.pid:
            found |= {"pid": self.pid, "thread": self.thread, "seq": self.seq}
        if self.kind == "broken":
            return found | {"reason": self.reason, "bytes": self.raw.hex()}
        return found | {"data": plain(self.data)}


def expand(record: Record) -> Iterator[Entry]:
    """The entries of `record`, exactly `record.count` of them; never raises for their content.

    >>> record = Record(88, EVENTS, bytes(16), 412, 1, 0, b"not a frame")
    >>> [(entry.number, entry.kind, entry.reason) for entry in expand(record)]
    [(412, 'broken', 'no frame here')]
    """
    if record.kind == EVENTS:
        return _frames(record)
    return _maps(record)


def entry(directory: str, number: int) -> Entry:
    """Entry `number` of the ledger in `directory`. Raises `LedgerError` when there is none.

    >>> entry("/tmp/example", 412).kind  # doctest: +SKIP
    'event'
    """
    with Reader(directory) as reader:
        for record in reader.records(number) if number > 0 else ():
            for found in expand(record):
                if found.number == number:
                    return found
            break
        if 0 < number < reader.first:
            raise LedgerError(
                f"entry #{number} was pruned: the ledger in {directory} begins with #{reader.first}"
            )
    raise LedgerError(f"the ledger in {directory} has no entry #{number}")


def plain(value: object, depth: int = 0) -> Any:
    """`value` as JSON values: bytes as hexadecimal, frozen values as maps, no NaN.

    >>> plain({"a": (b"\\x00", float("inf"))})
    {'a': [{'bytes': '00'}, 'inf']}
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if depth > _DEEPEST:
        return {"type": "too deep"}
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_key(k): plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, Value):
        return {name: plain(getattr(value, name), depth + 1) for name in value.__fields__}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str.__str__(value)
    code, data = getattr(value, "code", None), getattr(value, "data", None)
    if isinstance(code, int) and isinstance(data, (bytes, memoryview, bytearray)):
        return {"extension": code, "bytes": bytes(data).hex()}
    return {"type": kind.__name__}


def _key(key: object) -> str:
    return key if isinstance(key, str) else str(plain(key, _DEEPEST))


def _broken(record: Record, number: int, raw: bytes, reason: str) -> Entry:
    return Entry(
        number, "broken", record.time, record.time, record.run, raw=raw, reason=reason or "?"
    )


def _maps(record: Record) -> Iterator[Entry]:
    """START, END, RECOVERED: one map. DECISIONS: an array of maps.

    What is broken comes with its own bytes, each byte once: never more than the record has.
    """
    kind = "decision" if record.kind == DECISIONS else KINDS[record.kind]
    found, reason = unpack(record.payload)
    if record.kind != DECISIONS and not reason:
        found = [found]
    if not reason and (type(found) is not list or len(found) != record.count):
        reason = f"not an array of {record.count}"
    if reason:
        yield _broken(record, record.first, record.payload, reason)
        for number in range(record.first + 1, record.first + record.count):
            yield _broken(record, number, b"", reason)
        return
    pieces: list[bytes] = []
    for place, item in enumerate(found):
        if type(item) is dict:
            number = record.first + place
            yield Entry(number, kind, record.time, record.time, record.run, item)
            continue
        pieces = pieces or _pieces(record)
        yield _broken(record, record.first + place, pieces[place], "not a map")


def _pieces(record: Record) -> list[bytes]:
    """The bytes of each item of a DECISIONS record that decodes; of any other its payload."""
    import msgspec

    if record.kind != DECISIONS:
        return [record.payload]
    return list(map(bytes, msgspec.msgpack.decode(record.payload, type=list[msgspec.Raw])))


def unpack(payload: bytes) -> tuple[Any, str]:
    """What is in a payload of maps, and why it cannot be known; never more than it has bytes for.

    >>> unpack(b"\xc3"), unpack(b"\xc1")[0]
    ((True, ''), None)
    """
    import msgspec

    if len(payload) > _FEW and _values(payload, _MOST_VALUES) > _MOST_VALUES:
        return None, f"more than {_MOST_VALUES} values"
    try:
        return msgspec.msgpack.decode(payload, strict=True), ""
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        return None, f"not MessagePack: {error}"


def _values(payload: bytes, most: int) -> int:
    """How many values there are in `payload`; where that is over `most`, some number over it.

    A byte can be an empty map, which takes 70 in memory: it is counted before it is decoded. What
    is no MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) ends the count.
    """
    at, left, seen, end = 0, 1, 0, len(payload)
    while left and at < end and seen + left <= most:
        byte = payload[at]
        left, seen, at = left - 1, seen + 1, at + 1
        if 0x80 <= byte < 0xC0:
            if byte >= 0xA0:
                at += byte & 31
            else:
                left += (byte & 15) * (1 if byte >= 0x90 else 2)
        elif byte in _SIZED:
            width, extra, items = _SIZED[byte]
            size = int.from_bytes(payload[at : at + width], "big")
            at += width + extra + (0 if items else size)
            left += size * items
    return seen + left


def _frames(record: Record) -> Iterator[Entry]:
    payload = record.payload
    at = 0
    last = record.first + record.count - 1
    for number in range(record.first, last + 1):
        head = payload[at : at + _FRAME.size]
        length = 0
        if len(head) == _FRAME.size:
            magic, length, *_rest = _FRAME.unpack(head)
            if magic != _FRAME_MAGIC or length < _FRAME.size or at + length > len(payload):
                length = 0
        if not length or (number == last and at + length != len(payload)):
            # From here no boundary is known: the rest goes to this entry, none to the others.
            reason = "more bytes than frames" if length else "no frame here"
            yield _broken(record, number, payload[at:], reason)
            at = len(payload)
            continue
        yield _one_frame(record, number, payload[at : at + length])
        at += length


def _one_frame(record: Record, number: int, frame: bytes) -> Entry:
    from belljar.events.decode import decode, decode_bye, decode_hello, decode_loss
    from belljar.events.syscalls import decode_syscall

    _magic, _length, kind, _flags, _version, pid, thread, seq, time = _FRAME.unpack_from(frame)
    decoders = {
        "hello": decode_hello, "event": decode, "bye": decode_bye, "loss": decode_loss,
        "syscall": decode_syscall,
    }  # fmt: skip
    name = _FRAME_KINDS.get(kind, "")
    try:
        if not name:
            raise GuestProtocolError(f"a frame of kind {kind}")
        data: object = decoders[name](frame)
    except (GuestProtocolError, ValueError, TypeError, RecursionError) as error:
        return _broken(record, number, frame, str(error))
    return Entry(number, name, time, record.time, record.run, data, pid, thread, seq)
