"""Socket addresses as text, for every family that the recorder knows of.

The shape of an address does not tell its family: `("eth0", 2048)` may be a host and a port, or an
interface and a protocol. So the recorder tells the socket's (`Socket`); without it, a record of
version 1 or a socket that is none, pairs of text and number are taken for host and port.
"""

from __future__ import annotations

from belljar.events.values import Socket, path_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_UNIX, _INET, _INET6, _NETLINK, _PACKET, _CAN, _TIPC = 1, 2, 10, 16, 17, 29, 30
_BLUETOOTH, _ALG, _VSOCK, _QIPCRTR = 31, 38, 40, 42
_DATAGRAM, _RAW = 2, 3
_NAMES: Final = {
    _NETLINK: "netlink", _CAN: "can", _TIPC: "tipc", _BLUETOOTH: "bluetooth", _ALG: "alg",
    _VSOCK: "vsock", _QIPCRTR: "qipcrtr",
}  # fmt: skip
_MOST: Final = 6


def address_of(
    value: object, cwd: str | None, socket: object = None, event: str = ""
) -> str | None:
    """An address as text, or None where it cannot be told.

    `host:port`, `[v6]:port` and `[v6%scope]:port`, with `udp:` before it where the socket (or,
    where that is not known, the event) says so; `unix:/path`, `unix:@abstract`; for other families
    the name and the parts of the address: `netlink:0:1`, `packet:eth0:0x0800`, `vsock:2:1024`.

    >>> address_of(("::1", 80, 0, 0), None), address_of(("eth0", 3), None, Socket("s", 17, 3))
    ('[::1]:80', 'packet:eth0:0x0003')
    """
    family = socket.family if type(socket) is Socket else None
    if family is None:
        family = _INET if type(value) is tuple else _UNIX
    if family == _UNIX:
        return _unix(value, cwd)
    if family in (_INET, _INET6):
        found = _internet(value, family)
        udp = event in ("socket.sendto", "socket.sendmsg")
        if type(socket) is Socket:
            udp = socket.type in (_DATAGRAM, _RAW)
        return f"udp:{found}" if found and udp else found
    if family == _PACKET:
        return _packet(value)
    return _parts(_NAMES[family], value) if family in _NAMES else None


def _unix(value: object, cwd: str | None) -> str | None:
    path = text_of(value)
    if not path:
        return None
    if path[0] == "\0":
        return f"unix:@{path[1:]}"
    path = path_of(path, cwd)
    return f"unix:{path}" if path else None


def _internet(value: object, family: int) -> str | None:
    if type(value) is not tuple or len(value) < 2:
        return None
    host, port = text_of(value[0]), value[1]
    if host is None or type(port) is not int:
        return None
    if not host:
        host = "::" if family == _INET6 else "0.0.0.0"  # noqa: S104
    elif host == "<broadcast>":
        host = "255.255.255.255"
    scope = value[3] if len(value) > 3 else 0
    if ":" in host and "%" not in host and type(scope) is int and scope > 0:
        host = f"{host}%{scope}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _packet(value: object) -> str | None:
    if type(value) is not tuple or len(value) < 2:
        return None
    interface, protocol = text_of(value[0]), value[1]
    if interface is None or type(protocol) is not int:
        return None
    return f"packet:{interface}:{protocol:#06x}"


def _parts(name: str, value: object) -> str | None:
    """The parts of an address that are text or numbers, in order; None if one is neither."""
    parts = value if type(value) is tuple else (value,)
    shown = [str(p) if type(p) is int else text_of(p) for p in parts[:_MOST]]
    if not shown or any(part is None for part in shown):
        return None
    return ":".join([name, *(part or "*" for part in shown)])
