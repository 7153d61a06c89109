"""Connections to listed addresses."""

from __future__ import annotations

import socket
import weakref

from belljar.policy.addresses import canonical, covers
from belljar.sandbox.bridge.exposure import Exposure
from belljar.sandbox.bridge.failures import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

_LONGEST: Final = 1 << 20


class TcpClient:
    """TCP connections to `addresses`, written as in a policy (`api.example.com:443`,
    `10.0.0.0/8:5432`, `[::1]:80`): a guest gets `connect(host, port)`, which gives `send(data)`,
    `receive(most)` and `close()`.

    A name is resolved here, and stands for whatever addresses its owner gives it. `seconds` is how
    long one operation may take, `open_at_once` how many connections there may be. Raises
    `ValueError` for an address that is none.

    >>> box.share("net", TcpClient(["api.example.com:443"]))  # doctest: +SKIP
    """

    __belljar__ = Exposure(methods=("connect",), returns={"connect": ("send", "receive", "close")})

    def __init__(
        self, addresses: Iterable[str], *, seconds: float = 30, open_at_once: int = 8
    ) -> None:
        if isinstance(addresses, str):
            raise TypeError("a list of addresses, not one text")
        self._granted = tuple(canonical(text, "/") for text in addresses)
        for granted in self._granted:
            if not granted.startswith("tcp:"):
                raise ValueError(f"{granted} is no TCP address")
        self._seconds = seconds
        self._most = open_at_once
        self._open: weakref.WeakSet[TcpConnection] = weakref.WeakSet()

    def connect(self, host: str, port: int) -> TcpConnection:
        """A connection. Raises `PermissionError` for an address that is not listed."""
        if type(host) is not str or type(port) is not int or not 0 < port < 65536:
            raise TypeError("an address is a text and a number")
        shown = f"[{host}]" if ":" in host else host
        try:
            target = canonical(f"{shown}:{port}", "/")
        except ValueError:
            target = ""
        if not target or not any(covers(granted, target) for granted in self._granted):
            raise Refusal("PermissionError", "the host allows no connection to this address")
        if sum(not one.closed for one in self._open) >= self._most:
            raise Refusal("PermissionError", f"{self._most} connections are open already")
        name = target[4:].rpartition(":")[0].strip("[]")
        try:
            made = TcpConnection(socket.create_connection((name, port), self._seconds))
        except socket.gaierror:
            raise Refusal("ConnectionError", "the host finds no address of this name") from None
        self._open.add(made)
        return made


class TcpConnection:
    """One connection: what `TcpClient.connect` gives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._sock.fileno() < 0

    def send(self, data: bytes) -> None:
        """Send all of it."""
        if type(data) not in (bytes, bytearray):
            raise TypeError("what is sent is bytes")
        self._sock.sendall(data)

    def receive(self, most: int = 65536) -> bytes:
        """At most so many bytes; none when the other end has closed."""
        if type(most) is not int or not 0 < most <= _LONGEST:
            raise ValueError(f"from 1 to {_LONGEST} bytes are received at once")
        return self._sock.recv(most)

    def close(self) -> None:
        """Close it."""
        self._sock.close()

    def __del__(self) -> None:
        self._sock.close()
