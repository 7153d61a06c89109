"""Which answer slot an event that waits has named: read without decoding the rest.

A guest's first import of a C module waits, and what decodes events costs more to import than that
whole import: so this imports nothing. Hostile bytes give -1, which is nobody's slot.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

HEADER: Final = 32
_SLOT: Final = 4  # its place in the body
_MOST: Final = 5000  # values in a body of at most four kilobytes
#: MessagePack: first byte -> bytes that follow it
_FIXED: Final = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
    0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
#: First byte -> bytes of the length that follows, and what comes besides that length
_SIZED: Final = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
}  # fmt: skip
_ARRAYS: Final = {0xDC: 2, 0xDD: 4}


def slot_of(frame: bytes) -> int:
    """The slot in an event's frame, -1 where there is none.

    >>> slot_of(bytes(32) + b"\\x95\\xa1x\\x90\\xc0\\xc0\\x07")
    7
    """
    at = HEADER
    if len(frame) <= at or not 0x95 <= frame[at] <= 0x9F:
        return -1
    at += 1
    try:
        for _ in range(_SLOT):
            at = _behind(frame, at)
        first = frame[at]
    except IndexError:
        return -1
    if first < 0x80:
        return first
    width = {0xCC: 1, 0xCD: 2, 0xCE: 4}.get(first, 0)
    number = frame[at + 1 : at + 1 + width]
    return int.from_bytes(number, "big") if width and len(number) == width else -1


def _behind(data: bytes, at: int) -> int:
    """Where the value after that at `at` begins. Raises `IndexError` for what is none."""
    left = 1
    for _ in range(_MOST):
        if left == 0:
            return at
        left -= 1
        first = data[at]
        at += 1
        if first < 0x80 or first >= 0xE0:
            continue
        if first in _FIXED:
            at += _FIXED[first]
        elif 0xA0 <= first < 0xC0:
            at += first & 0x1F
        elif 0x90 <= first < 0xA0:
            left += first & 0x0F
        elif first in _ARRAYS:
            width = _ARRAYS[first]
            left += int.from_bytes(data[at : at + width], "big")
            at += width
        elif first in _SIZED:
            width, more = _SIZED[first]
            at += width + more + int.from_bytes(data[at : at + width], "big")
        else:
            raise IndexError(at)
    raise IndexError(at)
