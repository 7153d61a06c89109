"""What the ledger writes of itself, and what it lets others write. On the hot path.

The payloads are MessagePack maps of a few short keys, so no encoder is imported for them.
"""

from __future__ import annotations

from belljar.errors import LedgerError
from belljar.ledger.format import EVENTS, KINDS, MAX_PAYLOAD, OWN, SINGLE, most_entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Item = tuple[int, int, bytes]


def note(**fields: int | str) -> bytes:
    """MessagePack of a small map of numbers and short ASCII texts.

    >>> note(records=1).hex()
    '81d9077265636f726473cf0000000000000001'
    """
    parts = [bytes((0x80 | len(fields),))]
    for name, value in fields.items():
        parts.append(_text(name))
        parts.append(_text(value) if isinstance(value, str) else b"\xcf" + value.to_bytes(8, "big"))
    return b"".join(parts)


def _text(value: str) -> bytes:
    data = value.encode("ascii")
    return b"\xd9" + bytes((len(data),)) + data


def check(items: Sequence[Item], run: bytes) -> None:
    """Raise `ValueError` or `LedgerError` unless `items` of `run` may be appended."""
    if len(run) != 16:
        raise ValueError(f"a run id has 16 bytes, not {len(run)}")
    for kind, count, payload in items:
        if kind not in KINDS or kind in OWN:
            raise ValueError(f"cannot append records of kind {kind}")
        if not 0 < count <= (1 if kind in SINGLE else most_entries(_least(kind, payload))):
            raise ValueError(f"a record of kind {KINDS[kind]} cannot have {count} entries")
        if len(payload) > MAX_PAYLOAD:
            raise LedgerError(
                f"a record of {len(payload)} bytes is too long for the ledger "
                f"(at most {MAX_PAYLOAD}); nothing was recorded"
            )


def _least(kind: int, payload: bytes) -> int:
    """How many bytes may be left of `payload` when it is stored."""
    return len(payload) // 1032 if kind == EVENTS else len(payload)
