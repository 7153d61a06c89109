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
    """START, END, RECOVERED: one map. DECISIONS: an array of maps."""
    kind = "decision" if record.kind == DECISIONS else KINDS[record.kind]
    found, reason = _unpack(record.payload)
    if record.kind != DECISIONS and not reason:
        found = [found]
    if not reason and (type(found) is not list or len(found) != record.count):
        reason = f"not an array of {record.count}"
    if reason:
        yield _broken(record, record.first, record.payload, reason)
        for number in range(record.first + 1, record.first + record.count):
            yield _broken(record, number, b"", reason)
        return
    for number, item in enumerate(found, record.first):
        if type(item) is dict:
            yield Entry(number, kind, record.time, record.time, record.run, item)
        else:
            yield _broken(record, number, record.payload, "not a map")


def _unpack(payload: bytes) -> tuple[Any, str]:
    import msgspec

    try:
        return msgspec.msgpack.decode(payload, strict=True), ""
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        return None, f"not MessagePack: {error}"


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
