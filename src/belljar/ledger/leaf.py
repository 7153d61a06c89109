"""What one record is in the Merkle tree: 56 bytes that outlive the record itself."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.ledger.reader import Record

#: first entry, entries, stored payload's length, time (ns), the record's own chain hash
LEAF: Final = struct.Struct(">QIIQ32s")
LEAF_SIZE: Final = LEAF.size


def leaf(record: Record) -> bytes:
    """The data of `record`'s leaf, `LEAF_SIZE` bytes, big endian: a tlog-tiles entry.

    The hash in it covers the ledger's seed, everything before the record, its header and its
    payload as stored. So a pruned record's place in the tree can still be proved.

    >>> from belljar.ledger.reader import Record
    >>> leaf(Record(88, 2, bytes(16), 412, 3, 0, b"xx", stored=2, own=bytes(32))).hex()[:32]
    '000000000000019c0000000300000002'
    """
    return LEAF.pack(record.first, record.count, record.stored, record.time, record.own)
