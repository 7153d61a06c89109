"""One entry as a syslog message: RFC 5424, or with the head that local sockets are used to.

What is where in a message is in `docs/sinks.md`.
"""

from __future__ import annotations

import socket
import time

from belljar.ledger.sinks.text import cut, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from belljar.ledger.sinks.fields import Item

#: "[...] reserved for use in documentation" (RFC 5612); until Belljar has a number of its own.
SD_ID: Final = "belljar@32473"
BOM: Final = b"\xef\xbb\xbf"
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_LEAST_MESSAGE: Final = 160  # bytes kept for the text where the fields are long
_LEAST_VALUE: Final = 16
_LONGEST_MSGID: Final = 32


def message(item: Item, host: str, facility: int, size: int, *, bsd: bool = False) -> bytes:
    """The RFC 5424 message of `item`, at most `size` bytes (480 or more), without framing.

    With `bsd` its head is the one that `syslog(3)` sends to `/dev/log`, which is all that
    rsyslogd's parser of local sockets and journald know; what follows is the same.
    Fields that do not fit are cut, and named with their whole length in `cut`; `size` bounds what
    is in the structured data first, then the text behind it.
    """
    name = _ascii(item.name, _LONGEST_MSGID) or "-"
    pid = str(item.entry.pid) if item.entry.pid else "-"
    stamp = timestamp(item.entry.recorded)
    first = f"<{facility * 8 + item.level}>"
    mark = b"" if bsd else BOM
    if bsd:
        tag = f"belljar[{pid}]" if item.entry.pid else "belljar"
        head = f"{first}{_bsd_time(item.entry.recorded)} {tag}: ".encode("ascii")
    else:
        head = f"{first}1 {stamp} {host} belljar {pid} {name} ".encode("ascii")
    room = size - len(head) - len(f"[{SD_ID}]  ") - len(mark)
    text = safe(item.message).encode("utf-8")
    keep = min(len(text), _LEAST_MESSAGE, room // 3)
    data = _structured(item, room - keep)
    if len(head) + len(data) + 1 + len(mark) > size:  # even the names of what is cut are too much
        few = b"".join(b' %s="%s"' % (n.encode(), str(v).encode()) for n, v in item.fields[:3])
        data = b'[%s%s cut="*"]' % (SD_ID.encode("ascii"), few)
    rest = size - len(head) - len(data) - 1 - len(mark)
    return head + data + b" " + mark + cut(text, rest)


def _bsd_time(nanoseconds: int) -> str:
    """RFC 3164's timestamp: local time, no year; English whatever the locale is."""
    found = time.localtime(nanoseconds // 10**9)
    return f"{_MONTHS[found.tm_mon - 1]} {found.tm_mday:2} {time.strftime('%H:%M:%S', found)}"


def timestamp(nanoseconds: int) -> str:
    """RFC 5424's timestamp, UTC, microseconds.

    >>> timestamp(1_000_000_000_123_456_789)
    '2001-09-09T01:46:40.123456Z'
    """
    seconds, rest = divmod(nanoseconds, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06}Z"


def hostname() -> str:
    """This machine's name as HOSTNAME may have it."""
    return _ascii(socket.gethostname(), 255) or "-"


def _structured(item: Item, room: int) -> bytes:
    """One SD-ELEMENT; `room` is what its parameters may take."""
    parts: list[bytes] = []
    short: list[str] = []
    lengths = dict(item.cut)
    used = 0
    for name, value in item.fields:
        text = value if type(value) is str else str(value)
        whole = safe(text).encode("utf-8")
        escaped = _escape(whole)
        frame = len(f' {name}=""')
        if name in lengths or used + frame + len(escaped) > room:
            told = f"{name}:{lengths.get(name, len(text))}"
            used += len(told) + (1 if short else len(' cut=""'))
            short.append(told)
            if used + frame + len(escaped) > room:
                escaped = _fitting(whole, room - used - frame)
            if len(escaped) < _LEAST_VALUE:
                continue
        parts.append(b' %s="%s"' % (name.encode("ascii"), escaped))
        used += frame + len(escaped)
    if short:
        parts.append(b' cut="%s"' % ",".join(short).encode("ascii"))
    return b"[%s%s]" % (SD_ID.encode("ascii"), b"".join(parts))


def _fitting(whole: bytes, room: int) -> bytes:
    """As much of `whole` as takes at most `room` bytes when it is escaped."""
    size = max(0, room)
    while size > 0:
        escaped = _escape(cut(whole, size))
        if len(escaped) <= room:
            return escaped
        size = min(size - 1, size - (len(escaped) - room) // 2)
    return b""


def _escape(value: bytes) -> bytes:
    """PARAM-VALUE: a quotation mark, a backslash and a closing bracket get a backslash."""
    return value.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"]", b"\\]")


def _ascii(text: str, longest: int) -> str:
    """PRINTUSASCII; everything else is a question mark."""
    return "".join(c if "!" <= c <= "~" else "?" for c in text[:longest])
