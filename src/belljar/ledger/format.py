"""The ledger's bytes: file header, record header, hashes. `docs/ledger.md` is the specification.

Everything here is pure but `hasher`, which may import OpenSSL. On the hot path of `belljar run`.
"""

from __future__ import annotations

import struct
import sys

from belljar.errors import LedgerCorrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    Hasher = Callable[[bytes], Any]
    #: seed, chain start, size of the header, hash of the record before, first entry, its index
    Start = tuple[bytes, bytes, int, bytes, int, int]

NAME: Final = "ledger.blj"
#: An open book that is longer is closed before the next append.
BOOK_SIZE: Final = 64 << 20

FILE_MAGIC: Final = b"\x89BELLJAR"
FILE_VERSION: Final = 1
#: magic, version, length of this header with its hash, reserved (0), created (ns), seed
FILE: Final = struct.Struct("<8sHHIQ32s")
FILE_SIZE: Final = FILE.size + 32
#: of every book but the first, behind those: hash of the last record of the book before, number
#: of the first entry, index of the first record
NEXT: Final = struct.Struct("<32sQQ")
NEXT_VERSION: Final = 2
NEXT_SIZE: Final = FILE.size + NEXT.size + 32

MAGIC: Final = b"\xb1LJ\n"
VERSION: Final = 1
#: magic, version, kind, flags, run, first entry, entries, payload length, time (ns)
RECORD: Final = struct.Struct("<4sBBH16sQIIQ")
CHECK_SIZE: Final = 8
HEAD_SIZE: Final = RECORD.size + CHECK_SIZE
TAIL: Final = struct.Struct("<32sI")
OVERHEAD: Final = HEAD_SIZE + TAIL.size
#: No payload is longer: a reader never needs more memory than this for one record.
MAX_PAYLOAD: Final = 16 << 20
#: No record has more entries: as many frames of 32 bytes as the longest payload has room for.
MOST_ENTRIES: Final = MAX_PAYLOAD // 32
#: So many any record may have, whatever its payload: readers are not kept busy by a few bytes.
FEW_ENTRIES: Final = 1 << 12
#: The flag of an EVENTS record whose payload is stored in zlib's format (RFC 1950).
DEFLATED: Final = 1

START: Final = 1
EVENTS: Final = 2
DECISIONS: Final = 3
END: Final = 4
RECOVERED: Final = 5
CLOSED: Final = 6
PRUNED: Final = 7
EPOCH: Final = 8
SENDER: Final = 9
KINDS: Final = {
    START: "start",
    EVENTS: "events",
    DECISIONS: "decisions",
    END: "end",
    RECOVERED: "recovered",
    CLOSED: "closed",
    PRUNED: "pruned",
    EPOCH: "epoch",
    SENDER: "sender",
}
#: Kinds that are always exactly one entry.
SINGLE: Final = frozenset((START, END, RECOVERED, CLOSED, PRUNED, EPOCH, SENDER))
#: Kinds that only the ledger itself writes.
OWN: Final = frozenset((RECOVERED, CLOSED))

try:
    from _sha2 import sha256 as _small  # type: ignore[import-not-found]
except ImportError:
    try:
        from _sha256 import sha256 as _small  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256 as _small

sha256: Final[Hasher] = _small
_large: list[Hasher] = []


def hasher(ahead: int) -> Hasher:
    """The SHA-256 to use when `ahead` more bytes are to be hashed.

    CPython's own is at hand at once and hashes 0.3 to 0.45 GB/s; OpenSSL's takes 3 ms to load
    and then hashes 1.9 GB/s. So OpenSSL is loaded only where it pays for itself.

    >>> hasher(100)(b"").hexdigest()[:8]
    'e3b0c442'
    """
    if not _large:
        if ahead < 1 << 20 and "_hashlib" not in sys.modules:
            return sha256
        try:
            from _hashlib import openssl_sha256

            _large.append(openssl_sha256)
        except ImportError:
            _large.append(sha256)
    return _large[0]


def most_entries(length: int) -> int:
    """How many entries a record may have whose payload is stored in `length` bytes: those that
    zlib's format, at its best (1,032 to 1), packs into them.

    >>> most_entries(0), most_entries(1000), most_entries(16 << 20)
    (4096, 33000, 524288)
    """
    return max(FEW_ENTRIES, min(MOST_ENTRIES, length * 33))


def file_header(seed: bytes, created: int, before: tuple[bytes, int, int] | None = None) -> bytes:
    """The first bytes of a book; the last 32 of them start its chain.

    `before` says what the book continues: the hash of the last record, the number of the next
    entry, the index of the next record. None for the first book.
    """
    if before is None:
        head = FILE.pack(FILE_MAGIC, FILE_VERSION, FILE_SIZE, 0, created, seed)
    else:
        head = FILE.pack(FILE_MAGIC, NEXT_VERSION, NEXT_SIZE, 0, created, seed)
        head += NEXT.pack(*before)
    return head + bytes(sha256(head).digest())


def parse_file_header(data: bytes) -> Start:
    """What a book whose first bytes are `data` says of itself.

    Raises `LedgerCorrupt` unless every bit is as `file_header` wrote it.
    """
    if len(data) < FILE_SIZE:
        raise LedgerCorrupt(f"the file header is cut short at byte {len(data)}", len(data))
    magic, version, length, reserved, _created, seed = FILE.unpack_from(data)
    if magic != FILE_MAGIC:
        raise LedgerCorrupt("not a ledger: the file does not begin as one", 0)
    size = NEXT_SIZE if version == NEXT_VERSION else FILE_SIZE
    if len(data) < size:
        raise LedgerCorrupt(f"the file header is cut short at byte {len(data)}", len(data))
    chain = data[size - 32 : size]
    if sha256(data[: size - 32]).digest() != chain:
        raise LedgerCorrupt("the file header does not verify (offset 0)", 0)
    if version not in (FILE_VERSION, NEXT_VERSION) or length != size or reserved:
        raise LedgerCorrupt(f"ledger format {version} is not known to this version", 8)
    if version == FILE_VERSION:
        return seed, chain, size, bytes(32), 1, 0
    before, entry, index = NEXT.unpack_from(data, FILE.size)
    if not (1 <= index < entry < 1 << 63):
        raise LedgerCorrupt("the file header has impossible numbers (offset 88)", FILE_SIZE)
    return seed, chain, size, before, entry, index


def encode(
    seed: bytes,
    chain: bytes,
    sha: Hasher,
    fields: tuple[int, int, bytes, int, int, int],
    payload: bytes,
) -> tuple[tuple[bytes, ...], bytes]:
    """One record as parts to be joined, and its hash, which continues the chain.

    `fields` are kind, flags, run, first entry, number of entries, time.
    `seed` is known only to those who can read the file, so nothing that a guest puts into a
    payload can pass for a record of this ledger when the end of the file is looked for.
    """
    kind, flags, run, first, count, now = fields
    head = RECORD.pack(MAGIC, VERSION, kind, flags, run, first, count, len(payload), now)
    state = sha(seed + chain + head)
    check = state.digest()[:CHECK_SIZE]
    state.update(payload)
    own: bytes = state.digest()
    return (head, check, payload, TAIL.pack(own, OVERHEAD + len(payload))), own
