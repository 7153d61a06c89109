"""The records of a book, one after the other, as fast as hashing them allows.

A walk over records of one event each spends its time around the hashes, not in them. Here a
megabyte is looked at in one loop. It accepts a record only when all of it is right; whatever
is not, or is rare, is left to `Cursor.step`, which says what it is.
"""

from __future__ import annotations

import os
import struct

from belljar.ledger.format import (
    CHECK_SIZE,
    CLOSED,
    DEFLATED,
    EVENTS,
    FEW_ENTRIES,
    HEAD_SIZE,
    KINDS,
    MAGIC,
    OVERHEAD,
    RECORD,
    SINGLE,
    TAIL,
    VERSION,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from belljar.ledger.cursor import Cursor, Found
    from belljar.ledger.format import Hasher

#: Read ahead by so much, and by more as long as all of it is ordinary.
_LITTLE: Final = 1 << 14
_MUCH: Final = 1 << 20
#: A longer payload costs more to hash than to step over.
_SMALL: Final = 1 << 13
_HEAD: Final = RECORD.size
#: The first 8 bytes of an ordinary record's header: its kind and flags, and how many entries it may
#: have. The rest of it is run, first entry, entries, payload length and time.
_ORDINARY: Final = {
    struct.pack("<4sBBH", MAGIC, VERSION, kind, flags): (
        kind,
        flags,
        1 if kind in SINGLE else FEW_ENTRIES,
    )
    for kind in KINDS
    for flags in ((0, DEFLATED) if kind == EVENTS else (0,))
    if kind != CLOSED
}
_REST: Final = struct.Struct("<16sQIIQ")


def quick(cursor: Cursor, limit: int, sha: Hasher) -> Iterator[Found]:
    """Records from where `cursor` stands, which goes with them, as `Cursor.step` gives them; up to
    the first that is anything but ordinary, or to the `limit` of the file.

    The cursor must know its past (`entry` and `record`).
    """
    unpack, pack, seed, fd = _REST.unpack_from, TAIL.pack, cursor.seed, cursor.fd
    ordinary, ahead = _ORDINARY.get, _LITTLE
    while not cursor.closed and cursor.entry and cursor.record:
        base = cursor.offset
        data = os.pread(fd, min(ahead, limit - base), base)
        at, most, size = 0, len(data) - OVERHEAD, len(data)
        chain, entry = cursor.chain, cursor.entry
        while at <= most:
            known = ordinary(data[at : at + 8])
            run, first, count, length, time = unpack(data, at + 8)
            behind = at + HEAD_SIZE
            tail = behind + length
            end = at + OVERHEAD + length
            if not known or length > _SMALL or end > size or first != entry:
                break
            kind, flags, many = known
            body = data[behind:tail]
            state = sha(seed + chain + data[at : at + _HEAD])
            check = state.digest()[:CHECK_SIZE]
            state.update(body)
            own = state.digest()
            if (
                not 0 < count <= many
                or data[behind - CHECK_SIZE : behind] != check
                or data[tail:end] != pack(own, end - at)
            ):
                break
            cursor.offset, cursor.chain, cursor.flags = base + end, own, flags
            cursor.entry = entry = first + count
            cursor.record += 1
            yield base + at, kind, run, first, count, time, body  # type: ignore[misc]
            chain, at = own, end
        if not at:
            return
        ahead = min(_MUCH, ahead * 4)
