"""RFC 5424 messages over UDP (RFC 5426), TCP (RFC 6587, octet counting), TLS (RFC 5425) and the
local socket. What is where in a message is in `docs/sinks.md`.

UDP has no acknowledgement: what the network drops is lost and nobody can count it. Over TCP and TLS
a message counts as sent when the receiver's kernel has acknowledged it. What was sent in the five
seconds before a connection broke, or a socket refused, is sent again.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import time

from belljar.ledger.sinks import walk
from belljar.ledger.sinks.config import FACILITIES
from belljar.ledger.sinks.syslog_message import hostname, message
from belljar.ledger.sinks.text import cut
from belljar.ledger.sinks.transport import Down

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from belljar.ledger.sinks.config import Sink
    from belljar.ledger.sinks.fields import Item

_TIMEOUT: Final = 10.0
_SIOCOUTQ: Final = 0x5411
_EPROTOTYPE: Final = 91
#: What receivers should be able to take: RFC 5424 section 6.1, RFC 5425 section 4.3.1.
_SIZES: Final = {"syslog+udp": 2048, "syslog": 8192, "syslog+tcp": 8192, "syslog+tls": 8192}
_BURST: Final = 16  # datagrams before UDP pauses: a receiver's buffer holds 200 KB on Linux
_SLICE: Final = 0.2  # seconds between looks at whether to stop


class Syslog:
    """A connection to a syslog receiver, made when it is needed."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._udp = sink.scheme == "syslog+udp"
        self._size = int(sink.option("size", str(_SIZES[sink.scheme])))
        self._facility = FACILITIES[sink.option("facility", "audit")]
        self._host = hostname()
        self._bsd = sink.option("form") == "bsd"
        self._socket: socket.socket | None = None
        self._stream = sink.scheme in ("syslog+tcp", "syslog+tls")
        self._where = sink.path or f"{sink.host} port {sink.port}"
        self.overlap = 5.0
        self.stopped: Callable[[], bool] = bool

    def send(self, items: Sequence[Item]) -> int:
        """Send one message for each item. Raises `Down`."""
        messages = [
            message(item, self._host, self._facility, self._size, bsd=self._bsd) for item in items
        ]
        try:
            there = self._socket or self._connect()
            if self._stream:
                self._alive(there)
                self._all(there, b"".join(b"%d %s" % (len(m), m) for m in messages))
                self._acknowledged(there)
            else:
                for at in range(0, len(messages), _BURST if self._udp else len(messages)):
                    for one in messages[at : at + _BURST] if self._udp else messages:
                        self._datagram(there, one)
                    self._refused(there)
        except OSError as error:
            self.close()
            raise Down(f"{self._where}: {_reason(error)}") from error
        return 0

    def idle(self) -> None:
        """Find out now whether there is a receiver. Raises `Down`."""
        if self._stream or self._socket is None:
            try:
                there = self._socket or self._connect()
                if self._stream:
                    self._alive(there)
            except OSError as error:
                self.close()
                raise Down(f"{self._where}: {_reason(error)}") from error

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        sink = self._sink
        if sink.scheme == "syslog":
            made = self._local(sink.path)
        elif self._udp:
            made = self._udp_socket(sink)
        else:
            made = socket.create_connection((sink.host, sink.port), _TIMEOUT)
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                if sink.scheme == "syslog+tls":
                    made = _secure(made, sink)
            except BaseException:
                made.close()
                raise
        made.settimeout(_TIMEOUT)
        self._socket = made
        return made

    def _local(self, path: str) -> socket.socket:
        """A datagram socket, or one of a stream with octet counting."""
        try:
            made = walk.connect(path, socket.SOCK_DGRAM)
            self._stream = False
        except OSError as error:
            if error.errno != _EPROTOTYPE:
                raise
            made = walk.connect(path, socket.SOCK_STREAM)
            self._stream = True
        return made

    def _udp_socket(self, sink: Sink) -> socket.socket:
        failed: OSError = OSError(0, "no address")
        for family, kind, number, _name, address in socket.getaddrinfo(
            sink.host, sink.port, type=socket.SOCK_DGRAM
        ):
            made = socket.socket(family, kind, number)
            try:
                made.connect(address)
            except OSError as error:
                made.close()
                failed = error
            else:
                return made
        raise failed

    def _all(self, there: socket.socket, data: bytes) -> None:
        """`sendall`, ten seconds at most without any progress."""
        view, end = memoryview(data), time.monotonic() + _TIMEOUT
        there.settimeout(_SLICE)
        while view:
            try:
                view = view[there.send(view) :]
                end = time.monotonic() + _TIMEOUT
            except TimeoutError:
                if time.monotonic() > end or self.stopped():
                    raise OSError(110, "the receiver takes nothing") from None
        there.settimeout(_TIMEOUT)

    def _datagram(self, there: socket.socket, data: bytes) -> None:
        size = len(data)
        while True:
            try:
                there.send(data[:size] if size == len(data) else cut(data, size))
            except OSError as error:
                if error.errno != 90 or size < 960:  # EMSGSIZE: the path takes less
                    raise
                size //= 2
            else:
                return

    def _refused(self, there: socket.socket) -> None:
        """A port nobody listens on is told with the next call: look before it counts as sent."""
        if self._udp:
            time.sleep(0.002)
        if number := there.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, os.strerror(number))

    def _alive(self, there: socket.socket) -> None:
        """A receiver never says anything: what can be read is the end of the connection."""
        there.settimeout(0)
        try:
            if not there.recv(4096):
                raise OSError(104, "the receiver closed the connection")
        except (BlockingIOError, _want_read()):
            pass  # nothing to read: it stands
        finally:
            there.settimeout(_TIMEOUT)

    def _acknowledged(self, there: socket.socket) -> None:
        """Wait until the receiver's kernel has all."""
        queued = array.array("i", [0])
        end = time.monotonic() + _TIMEOUT
        while True:
            if there.family == socket.AF_UNIX:
                return
            fcntl.ioctl(there.fileno(), _SIOCOUTQ, queued)
            if not queued[0]:
                self._alive(there)
                return
            if time.monotonic() > end or self.stopped():
                raise OSError(110, "the receiver takes nothing")
            time.sleep(0.001)


def _want_read() -> type[OSError]:
    import ssl

    return ssl.SSLWantReadError


def _secure(made: socket.socket, sink: Sink) -> socket.socket:
    """TLS as RFC 5425 wants it: the receiver's certificate and name are always checked."""
    import ssl

    context = ssl.create_default_context(cafile=sink.option("ca") or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if sink.option("cert"):
        context.load_cert_chain(sink.option("cert"), sink.option("key") or None)
    return context.wrap_socket(made, server_hostname=sink.option("name") or sink.host)


def _reason(error: OSError) -> str:
    return str(getattr(error, "verify_message", "") or error.strerror or error or "time is over")
