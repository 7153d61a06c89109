"""Words for the end of a run, and for what never began."""

from __future__ import annotations

from belljar.errors import BelljarError, InternalError


def did_not_start(ended: tuple[int, float, float, int] | None) -> BelljarError:
    """The error for a guest that ended before its recorder reported."""
    if ended is None:
        return InternalError("the sandbox ended before its recorder reported")
    how = f"signal {ended[0] & 0x7F}" if ended[0] & 0x7F else f"exit status {ended[0] >> 8}"
    return BelljarError(f"the interpreter did not start inside the sandbox ({how}); nothing ran")


def plain(text: object) -> str:
    """Text that can be encoded, whatever a path holds."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")
