"""The Linux audit subsystem: one AUDIT_USER record for each entry, over netlink (CAP_AUDIT_WRITE).

The kernel adds who sent it (`pid`, `uid`, `auid`, `ses`) and acknowledges each. A value is in
quotation marks where it is printable ASCII without quotation marks and spaces, else in upper-case
hexadecimal, as the kernel's `audit_log_untrustedstring` writes it and `ausearch -i` reads it.
"""

from __future__ import annotations

import select
import socket
import struct
import time

from belljar.ledger.sinks.text import octets
from belljar.ledger.sinks.transport import Down

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from belljar.ledger.sinks.config import Sink
    from belljar.ledger.sinks.fields import Item

NETLINK_AUDIT: Final = 9
AUDIT_USER: Final = 1005
AUDIT_GET: Final = 1000
#: The beginning of struct audit_status: mask, enabled (0: no record is kept)
_STATUS: Final = struct.Struct("=II")
#: struct nlmsghdr: length with this header, type, flags, sequence, port (linux/netlink.h)
HEADER: Final = struct.Struct("=IHHII")
_ERROR: Final = struct.Struct("=i")  # struct nlmsgerr begins with a negative errno, 0: taken
_NLMSG_ERROR, _REQUEST, _ACK = 2, 1, 4
#: AUDIT_MESSAGE_TEXT_MAX of linux/audit.h: the kernel cuts what is longer.
LONGEST: Final = 8560
_LONGEST_VALUE: Final = 1024  # bytes of one value before it is cut, and told
_TIMEOUT: Final = 5.0
_REASONS: Final = {
    1: "the kernel refuses records from here (CAP_AUDIT_WRITE, in the first user namespace)",
    93: "this kernel has no audit subsystem",
    97: "this kernel has no audit subsystem",
    111: "the kernel takes no audit records from this namespace",
}


def text(item: Item) -> bytes:
    """The record's text: `op=belljar` and the entry's fields, `res` at the end.

    >>> from belljar.ledger.entries import Entry
    >>> from belljar.ledger.sinks.fields import item
    >>> text(item(Entry(1, "end", 5, 0, b"", {"why": "a b"}), "x"))
    b'op=belljar severity=warning entry=1 ledger="x" kind="end" time=5 why=612062 res=success'
    """
    refused = any(
        (name, value) in (("refused", 1), ("verdict", "deny")) for name, value in item.fields
    )
    parts = [b"op=belljar", b"severity=" + item.severity.encode("ascii")]
    room = LONGEST - 400
    cut, lengths = [], dict(item.cut)
    for name, value in item.fields:
        data = octets(value) if type(value) is str else b""
        word = str(value).encode("ascii") if type(value) is int else encoded(data[:_LONGEST_VALUE])
        part = b"%s=%s" % (_NAMES.get(name, name).encode("ascii"), word)
        if name in lengths or len(data) > _LONGEST_VALUE or len(part) > room:
            cut.append(f"{name}:{lengths.get(name, len(str(value)))}")
        if len(part) <= room:
            parts.append(part)
            room -= len(part) + 1
    if cut:
        parts.append(b"cut=" + ",".join(cut).encode("ascii"))
    parts.append(b"res=failed" if refused else b"res=success")
    return b" ".join(parts)


#: Names that the kernel or ausearch give another meaning to.
_NAMES: Final = {"pid": "opid", "uid": "ouid", "exe": "oexe"}


def encoded(value: bytes) -> bytes:
    """A value of untrusted text.

    >>> encoded(b"/etc/passwd"), encoded(b"a b")
    (b'"/etc/passwd"', b'612062')
    """
    if all(0x21 <= byte <= 0x7E and byte not in b"\"'" for byte in value):
        return b'"%s"' % value
    return value.hex().upper().encode("ascii")


def record(sequence: int, data: bytes, kind: int = AUDIT_USER) -> bytes:
    """The netlink message: header and `data` (of a text its NUL, too), that asks for an
    acknowledgement."""
    size = HEADER.size + len(data)
    head = HEADER.pack(size, kind, _REQUEST | _ACK, sequence, 0)
    return (head + data).ljust((size + 3) & ~3, b"\0")


class Audit:
    """The kernel's audit socket."""

    overlap = 0.0
    stopped: Callable[[], bool] = bool

    def __init__(self, _sink: Sink) -> None:
        self._socket: socket.socket | None = None
        self._sequence = 0

    def send(self, items: Sequence[Item]) -> int:
        """Send each item and wait for the kernel's word. Raises `Down`."""
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT)
                self._socket.setblocking(False)
            if not self._switched_on(self._socket):
                raise Down("audit is switched off in this kernel: auditctl -e 1")
            for item in items:
                self._one(self._socket, AUDIT_USER, text(item) + b"\0")
        except OSError as error:
            self.close()
            raise Down(_REASONS.get(error.errno or 0, f"audit: {error.strerror}")) from error
        return 0

    def idle(self) -> None:
        """Find out now whether there is an audit subsystem. Raises `Down`."""
        self.send([])

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _switched_on(self, there: socket.socket) -> bool:
        """Whether the kernel keeps records: it acknowledges them all the same where it does not.
        Who may not ask (CAP_AUDIT_CONTROL) takes that for yes."""
        try:
            status = self._one(there, AUDIT_GET, b"")
        except PermissionError:
            return True
        return len(status) < _STATUS.size or _STATUS.unpack_from(status)[1] != 0

    def _one(self, there: socket.socket, kind: int, data: bytes) -> bytes:
        """Send one message and wait for the kernel's word; what it answered besides."""
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF
        there.sendto(record(self._sequence, data, kind), (0, 0))
        said, taken = b"", False
        end = time.monotonic() + _TIMEOUT
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([there], [], [], left)[0]:
                raise OSError(110, "the kernel does not answer")
            answer, sender = there.recvfrom(1 << 16)
            if sender[0] != 0 or len(answer) < HEADER.size + _ERROR.size:
                continue  # only the kernel answers from port 0
            _size, what, _flags, sequence, _port = HEADER.unpack_from(answer)
            if what == kind and sequence == self._sequence:
                said = answer[HEADER.size :]
            if what == _NLMSG_ERROR and sequence == self._sequence:
                number = -_ERROR.unpack_from(answer, HEADER.size)[0]
                if number:
                    raise OSError(number, "the kernel refused the record")
                taken = True
            if taken and (said or kind != AUDIT_GET):
                return said
