"""What is said on a collector's socket: messages both ways, as `docs/collector.md` has them.

A sender's bytes are hostile until proven otherwise: everything is of a fixed place and size, every
length is checked before anything is kept for it, and what does not fit raises `Malformed`.
"""

from __future__ import annotations

import struct

from belljar.ledger.format import (
    DECISIONS,
    DEFLATED,
    END,
    EVENTS,
    MAX_PAYLOAD,
    OVERHEAD,
    START,
    most_entries,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    #: A record as the ledger stores it: kind, entries, flags, payload.
    Item = tuple[int, int, int, bytes]
    #: kind, items, length of the body, number
    Head = tuple[int, int, int, int]

MAGIC: Final = b"BJc\n"
VERSION: Final = 1
#: magic, version, kind, items, length of what follows, number of the message
HEAD: Final = struct.Struct("<4sBBHIQ")
#: kind of the record, its flags, reserved (0), entries, length of the payload as it is stored
ITEM: Final = struct.Struct("<BBHII")
RUN: Final = 16

APPEND: Final = 1
HELLO: Final = 129
ACK: Final = 130
NO: Final = 131
#: number of the connection, longest body of an APPEND
GREETING: Final = struct.Struct("<QI")

#: What a sender may have recorded; the rest is the ledger's and the collector's own.
SENDABLE: Final = frozenset((START, EVENTS, DECISIONS, END))
MOST_ITEMS: Final = 4096
#: The longest body of an APPEND: one longest payload, and room for what stands around it.
MOST_BODY: Final = MAX_PAYLOAD + RUN + MOST_ITEMS * ITEM.size
MOST_REASON: Final = 1000
_FRAME: Final = 32  # no event is shorter (docs/protocol.md)
_RATIO: Final = 1032  # zlib's format cannot do better


class Malformed(Exception):
    """These bytes are none that a sender, or a collector, may say. The text is one line."""


def parse_head(data: bytes | bytearray | memoryview, at: int = 0) -> Head:
    """The head at `at` of an APPEND: (kind, items, length of the body, number).

    Raises `Malformed`.

    >>> parse_head(HEAD.pack(MAGIC, VERSION, APPEND, 1, 28, 7))
    (1, 1, 28, 7)
    """
    magic, version, kind, items, length, number = HEAD.unpack_from(data, at)
    if magic != MAGIC:
        raise Malformed("no message begins like that")
    if version != VERSION or kind != APPEND:
        raise Malformed(f"a message of kind {version}.{kind} is unknown here")
    if not 0 < items <= MOST_ITEMS:
        raise Malformed(f"{items} records in a message (1 to {MOST_ITEMS})")
    if not RUN + items * ITEM.size <= length <= MOST_BODY:
        raise Malformed(f"a message of {items} records and {length} bytes (at most {MOST_BODY})")
    return kind, items, length, number


def parse_append(body: memoryview, items: int) -> tuple[bytes, list[Item]]:
    """The run and the records in the `body` of an APPEND. Payloads are views into it.

    Raises `Malformed` for a kind that no sender may append, a count that the payload cannot
    hold, and lengths that do not add up.

    >>> body = bytes(16) + ITEM.pack(EVENTS, 0, 0, 1, 32) + bytes(32)
    >>> run, items = parse_append(memoryview(body), 1)
    >>> items[0][:3], len(items[0][3])
    ((2, 1, 0), 32)
    """
    at = RUN + items * ITEM.size
    found: list[Item] = []
    for place in range(RUN, at, ITEM.size):
        kind, flags, reserved, count, length = ITEM.unpack_from(body, place)
        if reserved:
            raise Malformed("reserved bytes that are not zero")
        check(kind, count, flags, length)
        if at + length > len(body):
            raise Malformed("a record is longer than its message")
        # A view: whoever writes it copies it once more, into the one write.
        found.append((kind, count, flags, body[at : at + length]))  # type: ignore[arg-type]
        at += length
    if at != len(body):
        raise Malformed(f"{len(body) - at} bytes behind the last record")
    return bytes(body[:RUN]), found


def check(kind: int, count: int, flags: int, length: int) -> None:
    """Raise `Malformed` unless a sender may append a record of `kind` with `count` entries in
    `length` bytes. More entries than bytes for them would use up the numbers of the ledger.
    """
    if flags and (flags != DEFLATED or kind != EVENTS):
        raise Malformed(f"a record of kind {kind} with flags {flags}")
    if kind not in SENDABLE:
        raise Malformed(f"a sender cannot append records of kind {kind}")
    if length > MAX_PAYLOAD:
        raise Malformed(f"a record of {length} bytes (at most {MAX_PAYLOAD})")
    room = min(length * _RATIO, MAX_PAYLOAD) if flags else length
    most = {EVENTS: room // _FRAME, DECISIONS: length}.get(kind, min(length, 1))
    if not 0 < count <= min(most, most_entries(length)):
        raise Malformed(f"{count} entries in {length} bytes of a record of kind {kind}")


def weight(items: Sequence[Item]) -> int:
    """What `items` cost besides their bytes: their records' own, and what they are inflated."""
    more = (count * _FRAME - len(payload) for _kind, count, flags, payload in items if flags)
    return OVERHEAD * len(items) + sum(one for one in more if one > 0)


def append(number: int, run: bytes, items: Sequence[Item]) -> list[bytes]:
    """An APPEND as parts to be sent one after the other. Raises `Malformed`.

    >>> b"".join(append(7, bytes(16), [(EVENTS, 1, 0, bytes(32))])).hex()[:40]
    '424a630a010101003c0000000700000000000000'
    """
    heads = []
    length = RUN + len(items) * ITEM.size
    for kind, count, flags, payload in items:
        check(kind, count, flags, len(payload))
        heads.append(ITEM.pack(kind, flags, 0, count, len(payload)))
        length += len(payload)
    if not 0 < len(items) <= MOST_ITEMS or length > MOST_BODY:
        raise Malformed(
            f"{len(items)} records of {length} bytes together are too much for one message "
            f"(1 to {MOST_ITEMS}, {MOST_BODY} bytes)"
        )
    head = HEAD.pack(MAGIC, VERSION, APPEND, len(items), length, number)
    return [head, run, *heads, *(item[3] for item in items)]


def hello(connection: int) -> bytes:
    """What the collector says first."""
    return _said(HELLO, 0, 0, GREETING.pack(connection, MOST_BODY))


def ack(number: int, entries: Sequence[int]) -> bytes:
    """Message `number` is recorded; its records begin with these entries."""
    return _said(ACK, len(entries), number, struct.pack(f"<{len(entries)}Q", *entries))


def no(number: int, reason: str) -> bytes:
    """Message `number` is not recorded; 0: the connection ends. One line for a person."""
    return _said(NO, 0, number, reason.encode("utf-8", "replace")[:MOST_REASON])


def parse_said(data: bytes | bytearray) -> tuple[int, int, tuple[int, ...], str, int] | None:
    """The collector's message at the head of `data`: kind, number, values, reason, size.

    The values of a HELLO are the connection and the longest body, of an ACK the first entries.
    None where it is not whole yet. Raises `Malformed`.

    >>> parse_said(ack(3, [412, 415]))
    (130, 3, (412, 415), '', 36)
    """
    if len(data) < HEAD.size:
        return None
    magic, version, kind, items, length, number = HEAD.unpack_from(data)
    wanted = {HELLO: GREETING.size, ACK: 8 * items}.get(kind)
    if magic != MAGIC or version != VERSION or kind not in (HELLO, ACK, NO):
        raise Malformed("this is not what a collector says")
    if length > MOST_REASON if wanted is None else length != wanted:
        raise Malformed("a collector's message has an impossible length")
    size = HEAD.size + length
    if len(data) < size:
        return None
    body = bytes(data[HEAD.size : size])
    if kind == HELLO:
        return kind, number, GREETING.unpack(body), "", size
    if kind == ACK:
        return kind, number, struct.unpack(f"<{items}Q", body), "", size
    return kind, number, (), body.decode("utf-8", "replace"), size


def _said(kind: int, items: int, number: int, body: bytes) -> bytes:
    return HEAD.pack(MAGIC, VERSION, kind, items, len(body), number) + body
