"""When a file came into being: `statx` of the C library, for which this Python has no name."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_AT_FDCWD: Final = -100
_AT_SYMLINK_NOFOLLOW: Final = 0x100
_BTIME: Final = 0x800
_BTIME_AT: Final = 0x50  # struct statx of statx(2): stx_btime
_SIZE: Final = 256
_function: list[Any] = []


def born(path: str) -> int | None:
    """Nanoseconds since 1970 of the file's birth, not followed if it is a link; None where the
    file, the file system or the C library does not tell.

    >>> born("/no/such/file") is None
    True
    """
    try:
        name = os.fsencode(path)
    except ValueError:
        return None
    if b"\0" in name:
        return None
    if not _function:
        import ctypes

        _function.append(getattr(ctypes.CDLL(None), "statx", None))
    statx = _function[0]
    if statx is None:
        return None
    found = bytearray(_SIZE)
    import ctypes

    buffer = (ctypes.c_char * _SIZE).from_buffer(found)
    if statx(_AT_FDCWD, name, _AT_SYMLINK_NOFOLLOW, _BTIME, buffer) != 0:
        return None
    if not int.from_bytes(found[:4], "little") & _BTIME:
        return None
    seconds = int.from_bytes(found[_BTIME_AT : _BTIME_AT + 8], "little", signed=True)
    parts = int.from_bytes(found[_BTIME_AT + 8 : _BTIME_AT + 12], "little")
    return seconds * 10**9 + parts
