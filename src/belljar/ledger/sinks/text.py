"""Untrusted text for receivers that show or split it: one reversible form, and nothing clever.

Two rules: a backslash is doubled; a character that controls a terminal, reorders text, ends a line
somewhere or is no character (half of a surrogate pair, a byte that was no UTF-8 as U+DC80 to
U+DCFF) becomes a backslash, `u` and its four hexadecimal digits. `plain_of` undoes them.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: Controls, line ends, and what UAX #9 and CVE-2021-42574 are about.
_BAD: Final = re.compile(
    "[\\\\\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_ESCAPED: Final = re.compile(r"\\(?:\\|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def safe(text: str) -> str:
    """`text` in the form above: valid UTF-8, on one line, in the order it is read.

    >>> print(safe("a\\nb\\\\"))
    a\\u000ab\\\\
    """
    return _BAD.sub(_escape, text) if _BAD.search(text) else text


def plain_of(text: str) -> str:
    """What `safe` made `text` of.

    >>> plain_of(safe("\\u202e\\\\u202e")) == "\\u202e\\\\u202e"
    True
    """
    return _ESCAPED.sub(_character, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\\":
        return "\\\\"
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _character(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    return chr(int(digits, 16)) if digits else "\\"


def octets(text: str) -> bytes:
    """`text` as the bytes it was: what was no UTF-8 as it came, half a surrogate pair spelled out.

    >>> octets("\\udcff")
    b'\\xff'
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def cut(data: bytes, size: int) -> bytes:
    """The first `size` bytes of UTF-8 at most, no character halved, and no escape of ours.

    >>> cut("a\\u20ac".encode(), 3), cut(b"ab\\\\u000a", 5)
    (b'a', b'ab')
    """
    if len(data) <= size:
        return data
    while size > 0 and data[size] & 0xC0 == 0x80:
        size -= 1
    head = data[:size]
    at = head.rfind(b"\\", max(0, size - 9))
    if at >= 0:
        run = at
        while run >= 0 and head[run : run + 1] == b"\\":
            run -= 1
        odd = (at - run) % 2
        wanted = {b"u": 6, b"U": 10}.get(data[at + 1 : at + 2], 2)
        if odd and at + wanted > size:
            head = head[:at]
    return head
