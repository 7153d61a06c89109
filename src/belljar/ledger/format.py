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

NAME: Final = "ledger.blj"

FILE_MAGIC: Final = b"\x89BELLJAR"
FILE_VERSION: Final = 1
#: magic, version, length of this header with its hash, reserved (0), created (ns), seed
FILE: Final = struct.Struct("<8sHHIQ32s")
FILE_SIZE: Final = FILE.size + 32

MAGIC: Final = b"\xb1LJ\n"
VERSION: Final = 1
#: magic, version, kind, flags (0), run, first entry, entries, payload length, time (ns)
RECORD: Final = struct.Struct("<4sBBH16sQIIQ")
CHECK_SIZE: Final = 8
HEAD_SIZE: Final = RECORD.size + CHECK_SIZE
TAIL: Final = struct.Struct("<32sI")
OVERHEAD: Final = HEAD_SIZE + TAIL.size
#: No payload is longer: a reader never needs more memory than this for one record.
MAX_PAYLOAD: Final = 16 << 20

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


def file_header(seed: bytes, created: int) -> bytes:
    """The first `FILE_SIZE` bytes of a ledger; the last 32 of them start the chain."""
    head = FILE.pack(FILE_MAGIC, FILE_VERSION, FILE_SIZE, 0, created, seed)
    return head + bytes(sha256(head).digest())


def parse_file_header(data: bytes) -> tuple[bytes, bytes]:
    """Seed and chain start of a ledger whose first bytes are `data`.

    Raises `LedgerCorrupt` unless every bit is as `file_header` wrote it.
    """
    if len(data) < FILE_SIZE:
        raise LedgerCorrupt(f"the file header is cut short at byte {len(data)}", len(data))
    magic, version, length, reserved, _created, seed = FILE.unpack_from(data)
    if magic != FILE_MAGIC:
        raise LedgerCorrupt("not a ledger: the file does not begin as one", 0)
    chain = data[FILE.size : FILE_SIZE]
    if sha256(data[: FILE.size]).digest() != chain:
        raise LedgerCorrupt("the file header does not verify (offset 0)", 0)
    if version != FILE_VERSION or length != FILE_SIZE or reserved:
        raise LedgerCorrupt(f"ledger format {version} is not known to this version", 8)
    return seed, chain


def encode(
    seed: bytes,
    chain: bytes,
    sha: Hasher,
    fields: tuple[int, bytes, int, int, int],
    payload: bytes,
) -> tuple[tuple[bytes, ...], bytes]:
    """One record as parts to be joined, and its hash, which continues the chain.

    `fields` are kind, run, first entry, number of entries, time.
    `seed` is known only to those who can read the file, so nothing that a guest puts into a
    payload can pass for a record of this ledger when the end of the file is looked for.
    """
    kind, run, first, count, now = fields
    head = RECORD.pack(MAGIC, VERSION, kind, 0, run, first, count, len(payload), now)
    state = sha(seed + chain + head)
    check = state.digest()[:CHECK_SIZE]
    state.update(payload)
    own: bytes = state.digest()
    return (head, check, payload, TAIL.pack(own, OVERHEAD + len(payload))), own
