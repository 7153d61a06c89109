"""Receivers' sides, written from the specifications and sharing nothing with the senders."""

from __future__ import annotations

import re
import struct

NAME = rb"[!#-<>-\\^-~]{1,32}"
HEAD = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}(?:Z|[+-]\d\d:\d\d)) "
    rb"([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
)
PARAM = re.compile(rb' (%s)="((?:[^"\\\]]|\\.)*)"' % NAME, re.DOTALL)


def rfc5424(data: bytes) -> dict[str, object]:
    """A message by RFC 5424's grammar, or AssertionError."""
    head = HEAD.match(data)
    assert head, data[:200]
    at = head.end()
    assert data[at : at + 15] == b"[belljar@32473 ", data[at : at + 40]
    at += len(b"[belljar@32473")
    fields: dict[str, str] = {}
    while match := PARAM.match(data, at):
        raw = match[2].decode("utf-8", "strict")
        assert match[1].decode() not in fields
        fields[match[1].decode()] = re.sub(r'\\(["\\\]])', r"\1", raw)
        at = match.end()
    assert data[at : at + 2] == b"] ", data[at : at + 60]
    text = data[at + 2 :]
    assert text.startswith(b"\xef\xbb\xbf")
    body = text[3:].decode("utf-8", "strict")
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", body)
    priority = int(head[1])
    assert priority <= 191
    return {
        "facility": priority >> 3, "severity": priority & 7, "time": head[2].decode(),
        "app": head[4].decode(), "procid": head[5].decode(), "msgid": head[6].decode(),
        "fields": fields, "message": body,
    }  # fmt: skip


def octet_counted(stream: bytes) -> list[bytes]:
    """Frames of RFC 6587 section 3.4.1."""
    found = []
    while stream:
        length, space, rest = stream.partition(b" ")
        assert space == b" ", stream[:80]
        assert re.fullmatch(rb"[1-9]\d*", length), stream[:80]
        assert len(rest) >= int(length)
        found.append(rest[: int(length)])
        stream = rest[int(length) :]
    return found


def unescaped(text: str) -> str:
    """The second layer, as docs/sinks.md describes it."""
    pattern = r"\\(\\|u([0-9a-f]{4})|U([0-9a-f]{8}))"
    return re.sub(pattern, lambda m: chr(int(m[2] or m[3], 16)) if m[2] or m[3] else "\\", text)


def journal(data: bytes) -> list[tuple[str, bytes]]:
    """Fields of journald's native protocol."""
    found = []
    while data:
        line, newline, rest = data.partition(b"\n")
        assert newline
        name, equals, value = line.partition(b"=")
        if not equals:
            length = struct.unpack_from("<Q", rest)[0]
            value, end = rest[8 : 8 + length], rest[8 + length : 9 + length]
            assert end == b"\n"
            assert len(value) == length
            rest = rest[9 + length :]
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name), name
        found.append((name.decode(), value))
        data = rest
    return found


def audit(text: bytes) -> dict[str, bytes]:
    """`name=value` words of an audit record: a value in quotes, hexadecimal or a bare word."""
    found: dict[str, bytes] = {}
    for word in text.split(b" "):
        name, equals, value = word.partition(b"=")
        assert equals, word
        assert re.fullmatch(rb"[a-z_-]+", name), word
        assert name not in found, name
        if value.startswith(b'"'):
            assert re.fullmatch(rb'"[!#-&(-~]*"', value), value
            value = value[1:-1]
        elif re.fullmatch(rb"(?:[0-9A-F]{2})+", value) and not value.isdigit():
            value = bytes.fromhex(value.decode())
        else:
            assert re.fullmatch(rb"[A-Za-z0-9:,._-]+", value), value
        found[name.decode()] = value
    return found
