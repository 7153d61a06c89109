"""Sizes and times as people write them, and back. Pure text and numbers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SIZES: Final = {
    "": 1, "B": 1,
    "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
#: In milliseconds, so that arithmetic stays exact.
TIMES: Final = {"": 1000, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
MAX_SIZE: Final = 1 << 50
MAX_MILLISECONDS: Final = 10 * 366 * 24 * 3_600_000
_DIGITS: Final = "0123456789"


def _split(text: str, units: dict[str, int]) -> int | None:
    """`1.5G` → whole units, rounded down; None where it is not a number and a known unit."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    factor = units.get(text[len(number) :].strip())
    whole, point, part = number.strip().partition(".")
    if factor is None or len(whole) > 18 or len(part) > 9 or bool(point) != bool(part):
        return None
    if not whole or any(c not in _DIGITS for c in whole + part):
        return None
    scale: int = 10 ** len(part)
    return int(whole) * factor + int(part or "0") * factor // scale


def parse_size(value: object) -> int:
    """Bytes of `256M`, `1GiB`, `10MB` or a plain number. Raises `ValueError` with the reason.

    K, M, G, T and KiB, MiB, GiB, TiB are powers of 1024; kB, MB, GB, TB powers of 1000.
    """
    size = value if type(value) is int else None
    if type(value) is str:
        size = _split(value, SIZES)
    if size is None:
        raise ValueError('expected a size such as "256M" or "1GiB"')
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"a size from 0 to {format_size(MAX_SIZE)} was expected")
    return size


def parse_time(value: object) -> float:
    """Seconds of `500ms`, `5s`, `2m`, `1h` or a plain number; above 0, to the millisecond.

    Raises `ValueError` with the reason.
    """
    milliseconds: int | None = None
    if type(value) is str:
        milliseconds = _split(value, TIMES)
    elif (type(value) is int or type(value) is float) and abs(value) < MAX_MILLISECONDS:
        milliseconds = int(value * 1000)
    elif type(value) is int or type(value) is float:
        milliseconds = MAX_MILLISECONDS + 1  # also for infinity and not-a-number
    if milliseconds is None:
        raise ValueError('expected a time such as "5s" or "2m"')
    if not 1 <= milliseconds <= MAX_MILLISECONDS:
        raise ValueError("a time from 1ms to ten years was expected")
    return milliseconds / 1000


def format_size(size: int) -> str:
    """The shortest exact form that `parse_size` reads back.

    >>> format_size(1 << 30), format_size(1000)
    ('1GiB', '1000')
    """
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % SIZES[unit] == 0:
            return f"{size // SIZES[unit]}{unit}"
    return str(size)


def format_time(seconds: float) -> str:
    """The shortest exact form that `parse_time` reads back, to the millisecond.

    >>> format_time(120.0), format_time(0.5)
    ('2m', '500ms')
    """
    milliseconds = round(seconds * 1000)
    for unit in ("h", "m", "s"):
        if milliseconds and milliseconds % TIMES[unit] == 0:
            return f"{milliseconds // TIMES[unit]}{unit}"
    return f"{milliseconds}ms"
