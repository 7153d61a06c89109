"""Text for a terminal: escaping, colour, columns."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

# Characters that reorder or hide what follows them (UAX #9, CVE-2021-42574), and separators
# that some viewers take for line ends.
_DECEIVING = frozenset(
    map(chr, (0x00AD, 0x061C, 0x180E, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029,
              *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC)))
)  # fmt: skip


def printable(text: str, limit: int = 400) -> str:
    """`text` on one line, unable to move the cursor, change colours, or pose as other text.

    Longer than `limit` characters, the middle is left out and counted.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}...({len(text) - 2 * half} more)...{text[-half:]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and c not in _DECEIVING else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def many(number: int, one: str, more: str = "") -> str:
    """A number and what it counts.

    >>> many(1, "entry", "entries"), many(2, "run")
    ('1 entry', '2 runs')
    """
    return f"{number} {one if number == 1 else more or one + 's'}"


_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


def wants_colour(stream: TextIO) -> bool:
    """True for a terminal whose owner did not ask otherwise (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, on: bool) -> str:
    """`text` in a colour when `on`. Only for text of ours, or that is escaped already."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if on else text


def say(line: str) -> None:
    """One line of ours on standard error, below whatever the guest left there."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
