"""journald's protocol and the audit subsystem's, byte by byte, and the real kernel."""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from belljar.ledger import Writer
from belljar.ledger.sinks import audit
from belljar.ledger.sinks.config import parse
from belljar.ledger.sinks.fields import LONGEST
from belljar.ledger.sinks.journald import datagram
from belljar.ledger.sinks.transport import Down

from . import parsers
from .conftest import EVENTS, HOSTILE, RUN, Feeding, frame, hostile, items, target


def test_journald_gets_every_value_unchanged_in_its_own_protocol(
    directory: str, feeding: Callable[..., Feeding], tmp_path: Path
) -> None:
    path = tmp_path / "journal.sock"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    server.bind(str(path))
    server.settimeout(10)
    with Writer(directory) as writer:
        numbers = hostile(writer)
        writer.append([(EVENTS, 1, frame("open", b"/caf\xe9", "r", 0))], RUN)
    feeding(f"journald:{path}")
    found: dict[int, dict[str, bytes]] = {}
    large = 0
    while len(found) < len(HOSTILE) + 1:
        data, descriptors, _, _ = socket.recv_fds(server, 1 << 22, 1)
        if descriptors:
            assert data == b""
            large += 1
            with open(descriptors[0], "rb") as file:
                data = os.pread(file.fileno(), 1 << 24, 0)
                with pytest.raises(OSError):
                    os.pwrite(file.fileno(), b"x", 0)  # sealed
        pairs = parsers.journal(data)
        fields = dict(pairs)
        assert len(fields) == len(pairs)
        found[int(fields["BELLJAR_ENTRY"])] = fields
    server.close()
    assert large >= 1
    for name, number in numbers.items():
        fields = found[number]
        assert fields["PRIORITY"] == b"4"
        assert fields["SYSLOG_IDENTIFIER"] == b"belljar"
        assert fields["BELLJAR_TARGET"] == target(name)[:LONGEST].encode()
        assert b"\n" not in fields["MESSAGE"]
        assert b"\x1b" not in fields["MESSAGE"]
    assert found[numbers["megabyte"]]["BELLJAR_CUT"] == b"target:%d" % (1 << 20)
    assert found[len(HOSTILE) + 1]["BELLJAR_TARGET"] == b"/caf\xe9"  # as it was, no UTF-8


def test_a_value_with_newlines_has_its_length_before_it(directory: str) -> None:
    with Writer(directory) as writer:
        numbers = hostile(writer)
    item = items(directory)[numbers["journal"] - 1]
    value = HOSTILE["journal"].encode()
    assert b"\nBELLJAR_TARGET\n" + struct.pack("<Q", len(value)) + value + b"\n" in datagram(item)


def test_audit_records_are_laid_out_as_the_kernel_wants_them(directory: str) -> None:
    with Writer(directory) as writer:
        numbers = hostile(writer)
    found = items(directory)
    for name, number in numbers.items():
        data = audit.record(7, audit.text(found[number - 1]) + b"\0")
        length, kind, flags, sequence, port = struct.unpack_from("=IHHII", data)
        assert (kind, flags, sequence, port) == (1005, 1 | 4, 7, 0)
        assert 16 < length <= len(data) < length + 4
        assert len(data) % 4 == 0
        text = data[16:length]
        assert text.endswith(b"\0")
        assert text.count(b"\0") == 1
        assert len(text) - 1 <= 8560
        assert re.fullmatch(rb"[ -~]*", text[:-1])
        assert b"'" not in text
        fields = parsers.audit(text[:-1])
        assert (fields["op"], fields["res"]) == (b"belljar", b"failed")
        value = target(name).encode()
        assert fields["target"] == value[:1024]
        if len(value) > 1024:
            assert b"target:%d" % len(target(name)) in fields["cut"]


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (b"/etc/passwd", b'"/etc/passwd"'),
        (b"/a b", b"2F612062"),
        (b'"', b"22"),
        (b"it's", b"69742773"),
        (b"\x7f", b"7F"),
        (b"\xe9", b"E9"),
        (b"", b'""'),
    ],
)
def test_untrusted_values_are_quoted_or_hexadecimal(value: bytes, word: bytes) -> None:
    assert audit.encoded(value) == word


@contextmanager
def audit_readers() -> Iterator[socket.socket | None]:
    """What auditd gets, too (AUDIT_NLGRP_READLOG); None where we may not (CAP_AUDIT_READ)."""
    try:
        listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, audit.NETLINK_AUDIT)
    except OSError:
        yield None
        return
    with listener:
        listener.settimeout(5)
        try:
            listener.bind((0, 1))
        except OSError:
            yield None
        else:
            yield listener


def test_the_kernel_takes_the_records_or_says_why_not(directory: str) -> None:
    with Writer(directory) as writer:
        hostile(writer)
    sink = audit.Audit(parse("audit:"))
    refused, kept = "", b""
    with audit_readers() as listener:
        try:
            assert sink.send(items(directory)) == 0
        except Down as error:
            refused = str(error)
        finally:
            sink.close()
        while listener is not None and not refused and b"op=belljar" not in kept:
            kept = listener.recv(1 << 16)
    if kept:  # the kernel adds who sent it, before our text and where no text of ours can reach
        assert kept[16:].partition(b" msg='")[2].startswith(audit.text(items(directory)[0]))
    known = ("the kernel refuses", "this kernel has no", "the kernel takes no", "audit is switched")
    assert not refused or refused.startswith(known)


def test_a_refusal_of_the_kernel_is_a_reason_and_no_loss(
    directory: str, feeding: Callable[..., Feeding], monkeypatch: pytest.MonkeyPatch
) -> None:
    from .conftest import eventually

    def refuse(*_words: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(audit.Audit, "_one", refuse)
    with Writer(directory) as writer:
        hostile(writer)
    feed = feeding("audit:")
    eventually(lambda: feed.feed.where.state == "waiting")
    assert "CAP_AUDIT_WRITE" in feed.feed.where.why
    assert (feed.feed.where.next, feed.feed.where.lost) == (1, 0)


def answers(*parts: tuple[int, int, bytes]) -> Callable[..., tuple[bytes, tuple[int, int]]]:
    """A kernel that answers with `parts`: each to which request, a type and what it says."""
    left = list(parts)

    def recvfrom(_self: object, _size: int) -> tuple[bytes, tuple[int, int]]:
        number, kind, data = left.pop(0)
        return audit.HEADER.pack(16 + len(data), kind, 0, number, 0) + data, (0, 0)

    return recvfrom


TAKEN = 2, struct.pack("=i", 0) + bytes(16)
NOT_ALLOWED = 2, struct.pack("=i", -1) + bytes(16)
ON, OFF = (1, 1000, struct.pack("=II", 0, 1)), (1, 1000, struct.pack("=II", 0, 0))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([ON, (1, *TAKEN), (2, *TAKEN)], ""),
        ([(1, *TAKEN), ON, (2, *TAKEN)], ""),
        ([(1, *NOT_ALLOWED), (2, *TAKEN)], ""),  # it may write and not ask
        ([(1, *TAKEN), OFF], "audit is switched off in this kernel"),
        ([ON, (1, *TAKEN), (2, *NOT_ALLOWED)], "CAP_AUDIT_WRITE"),
    ],
)
def test_a_kernel_that_keeps_no_records_is_waited_for(
    directory: str,
    monkeypatch: pytest.MonkeyPatch,
    said: list[tuple[int, int, bytes]],
    expected: str,
) -> None:
    sent: list[bytes] = []

    class Kernel:
        recvfrom = answers(*said)

        def sendto(self, data: bytes, _to: tuple[int, int]) -> None:
            sent.append(data)

        def setblocking(self, _on: bool) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(audit.socket, "socket", lambda *_: Kernel())
    monkeypatch.setattr(audit.select, "select", lambda *_: ([1], [], []))
    with Writer(directory, clerk=False) as writer:
        writer.append([(EVENTS, 1, frame("open", "/a", "r", 0))], RUN)
    sink = audit.Audit(parse("audit:"))
    if expected:
        with pytest.raises(Down, match=expected):
            sink.send(items(directory))
    else:
        assert sink.send(items(directory)) == 0
    kinds = [struct.unpack_from("=IH", data)[1] for data in sent]
    assert kinds == ([1000] if "switched off" in expected else [1000, 1005])
