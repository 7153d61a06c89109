"""Payloads as the file has them: those of large EVENTS records are deflated where it helps.

Frames of one process repeat themselves: its paths, its stacks. On the hot path of nothing small:
`zlib` is loaded when the first large payload comes.
"""

from __future__ import annotations

from belljar.ledger.format import DEFLATED, EVENTS, MAX_PAYLOAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: Shorter payloads are stored as they are: setting up zlib costs as much as twenty events.
LEAST: Final = 4 << 10
_LEVEL: Final = 1
#: Of a longer payload this much is tried first: noise, which hostile guests send, costs less.
_SAMPLE: Final = 16 << 10


def stored(kind: int, payload: bytes) -> tuple[int, bytes]:
    """Flags and bytes to store for `payload`.

    >>> flags, data = stored(EVENTS, bytes(1 << 20))
    >>> flags, len(data) < 1 << 13
    (1, True)
    """
    if kind != EVENTS or len(payload) < LEAST:
        return 0, payload
    from zlib import compress

    if len(payload) > 4 * _SAMPLE and len(compress(payload[:_SAMPLE], _LEVEL)) > _SAMPLE * 7 // 8:
        return 0, payload
    data = compress(payload, _LEVEL)
    return (DEFLATED, data) if len(data) < len(payload) else (0, payload)


def restored(flags: int, data: bytes | memoryview) -> bytes:
    """The payload that was stored as `data`; never more than `MAX_PAYLOAD` bytes of it.

    What does not inflate to exactly one payload is given as it is: it will be a broken entry, with
    its bytes, like everything that does not decode.

    >>> restored(1, b"not deflated")
    b'not deflated'
    """
    if not flags & DEFLATED:
        return bytes(data)
    from zlib import decompressobj, error

    state = decompressobj()
    try:
        payload = state.decompress(data, MAX_PAYLOAD + 1)
    except error:
        return bytes(data)
    whole = state.eof and not state.unused_data and len(payload) <= MAX_PAYLOAD
    return payload if whole else bytes(data)
