"""systemd-journald's own protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/

Each entry is one datagram of fields; one that is too large for that goes as a sealed memfd. Values
are bytes and arrive unchanged, whatever is in them; `MESSAGE` alone is escaped, because it is what
people read in terminals.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket

from belljar.ledger.sinks import walk
from belljar.ledger.sinks.text import octets, safe
from belljar.ledger.sinks.transport import Down

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from belljar.ledger.sinks.config import Sink
    from belljar.ledger.sinks.fields import Item

_TIMEOUT: Final = 10.0
_EMSGSIZE, _ENOBUFS = 90, 105
_FACILITY: Final = "13"  # log audit, as in RFC 5424
#: Fields that journald knows by another name.
_KNOWN: Final = {"file": "CODE_FILE", "line": "CODE_LINE", "function": "CODE_FUNC"}
_SEALS: Final = (
    fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
)  # fmt: skip


def datagram(item: Item) -> bytes:
    """The entry in the native protocol: `NAME=value`, or `NAME`, a length of 8 bytes (little
    endian) and the value where it holds a newline; a newline after each.

    >>> from belljar.ledger.entries import Entry
    >>> from belljar.ledger.sinks.fields import item
    >>> datagram(item(Entry(1, "end", 0, 0, b"", {"why": "a\\nb"}), "x")).splitlines()[0]
    b'MESSAGE=end: status ?'
    """
    rows = [
        ("MESSAGE", safe(item.message)),
        ("PRIORITY", str(item.level)),
        ("SYSLOG_IDENTIFIER", "belljar"),
        ("SYSLOG_FACILITY", _FACILITY),
    ]
    for name, value in item.fields:
        rows.append((_KNOWN.get(name, f"BELLJAR_{name.upper()}"), str(value)))
    if item.cut:
        rows.append(("BELLJAR_CUT", ",".join(f"{name}:{size}" for name, size in item.cut)))
    return b"".join(_field(name, octets(text)) for name, text in rows)


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%s\n%s%s\n" % (name.encode("ascii"), len(value).to_bytes(8, "little"), value)
    return b"%s=%s\n" % (name.encode("ascii"), value)


class Journal:
    """journald's socket. What it took, its process has; it keeps it as its own settings say."""

    overlap = 0.0
    stopped: Callable[[], bool] = bool

    def __init__(self, sink: Sink) -> None:
        self._path = sink.path
        self._socket: socket.socket | None = None

    def send(self, items: Sequence[Item]) -> int:
        """Send each item. Raises `Down`."""
        try:
            there = self._socket or self._connect()
            for item in items:
                self._one(there, datagram(item))
        except OSError as error:
            self.close()
            raise Down(f"{self._path}: {error.strerror or 'it takes nothing'}") from error
        return 0

    def idle(self) -> None:
        """Find out now whether there is a receiver. Raises `Down`."""
        self.send([])

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        made = walk.connect(self._path, socket.SOCK_DGRAM)
        made.settimeout(_TIMEOUT)
        self._socket = made
        return made

    def _one(self, there: socket.socket, data: bytes) -> None:
        try:
            there.send(data)
        except OSError as error:
            if error.errno not in (_EMSGSIZE, _ENOBUFS):
                raise
            self._large(there, data)

    def _large(self, there: socket.socket, data: bytes) -> None:
        descriptor = os.memfd_create("belljar", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            rights = array.array("i", [descriptor])
            there.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        finally:
            os.close(descriptor)
