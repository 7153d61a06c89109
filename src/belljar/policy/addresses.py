"""Network addresses of grants: strict syntax in, one canonical form out; and what they cover.

Canonical: `tcp:10.0.0.0/8:5432`, `udp:[::1]:53`, `tcp:api.example.com:443`, `unix:/run/db.sock`.
`ipaddress` is imported only when there is an address to read.
"""

from __future__ import annotations

from belljar.events.paths import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
    from typing import Final

    Network = IPv4Network | IPv6Network
    #: protocol or "" for either, network or host name, port or "*"
    Parts = tuple[str, "Network | str", str]

_LABEL: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_cache: dict[str, Parts | None] = {}
_CACHE_MAX: Final = 4096


def canonical(text: str, base: str, *, least_port: int = 1) -> str:
    """The canonical form of an address as written. Raises `ValueError` with the reason."""
    if text.startswith("unix:"):
        path = text[5:]
        if not path or path.startswith("@"):
            raise ValueError("unix: needs the path of a socket")
        return f"unix:{absolute(path, base)}"
    protocol, rest = "tcp", text
    if text.startswith(("tcp:", "udp:")):
        protocol, rest = text[:3], text[4:]
    host, colon, port = rest.rpartition(":")
    if not colon or not host:
        raise ValueError(f'{text!r} has no port: write "host:443", or "host:*" for every port')
    if host.startswith("["):
        if not host.endswith("]"):
            raise ValueError(f'{text!r}: an IPv6 address is written "[::1]:443"')
        shown = canonical_network(host[1:-1])
        if ":" not in shown:
            raise ValueError(f"{text!r}: brackets are for IPv6 addresses")
        shown = f"[{shown}]"
    elif ":" in host:
        raise ValueError(f'{text!r}: an IPv6 address is written "[::1]:443"')
    elif "/" in host or host.rpartition(".")[2].isdigit():
        shown = canonical_network(host)
    else:
        shown = _host_name(host)
    return f"{protocol}:{shown}:{_port(port, least_port)}"


def with_protocol(text: str) -> str:
    """An address of a policy with the `tcp:` that may be left out.

    >>> with_protocol("10.0.0.1:80"), with_protocol("udp:10.0.0.1:53")
    ('tcp:10.0.0.1:80', 'udp:10.0.0.1:53')
    """
    return text if text.startswith(("tcp:", "udp:", "unix:")) else f"tcp:{text}"


def canonical_network(text: str) -> str:
    """An IP address or CIDR network, shortest form. Raises `ValueError` with the reason."""
    import ipaddress

    if not text.isascii() or "%" in text:
        raise ValueError(f"{text!r} is not an IP address or network")
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            wide = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"{text!r} is not an IP address or network") from None
        raise ValueError(f"{text!r} has bits beyond its prefix: write {str(wide)!r}") from None
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)


def _host_name(host: str) -> str:
    name = host.lower().removesuffix(".")
    if not name or len(name) > 253:
        raise ValueError(f"{host!r} is not a host name")
    for label in name.split("."):
        wrong = not _LABEL.issuperset(label) or label.startswith("-") or label.endswith("-")
        if not label or len(label) > 63 or wrong:
            raise ValueError(f"{host!r} is not a host name; names and patterns are not expanded")
    return name


def _port(port: str, least: int) -> str:
    if port == "*":
        return port
    if port.isascii() and port.isdigit() and len(port) <= 5 and least <= int(port) <= 65535:
        return str(int(port))
    raise ValueError(f"{port!r} is not a port: a number from {least} to 65535, or *")


def parts(text: str) -> Parts | None:
    """A canonical grant or an event's address, split; None for what is neither. Never raises."""
    found = _cache.get(text)
    if found is None and text not in _cache:
        if len(_cache) >= _CACHE_MAX:
            _cache.clear()
        found = _cache[text] = _parts(text)
    return found


def _parts(text: str) -> Parts | None:
    protocol, rest = "", text
    if text.startswith(("tcp:", "udp:")):
        protocol, rest = text[:3], text[4:]
    host, colon, port = rest.rpartition(":")
    if not colon or not host:
        return None
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return protocol, network_of(host) or host.lower().removesuffix("."), port


def network_of(host: str) -> Network | None:
    """The address or network that `host` spells, an IPv4-mapped one as IPv4; else None."""
    if ":" not in host and not host[-1:].isdigit():
        return None
    import ipaddress

    try:
        network = ipaddress.ip_network(host.partition("%")[0] if ":" in host else host)
    except ValueError:
        return None
    first: IPv4Address | IPv6Address = network.network_address
    if first.version == 6 and first.ipv4_mapped and network.prefixlen == 128:
        return ipaddress.ip_network(first.ipv4_mapped)
    return network


def covers(granted: str, target: str) -> bool:
    """Does the canonical grant cover an event's address? Events may not tell the protocol."""
    if granted.startswith("unix:") or target.startswith("unix:"):
        return granted == target
    grant, event = parts(granted), parts(target)
    if grant is None or event is None:
        return False
    if event[0] and event[0] != grant[0]:
        return False
    if grant[2] not in ("*", event[2]):
        return False
    return same_host(grant[1], event[1])


def same_host(granted: Network | str, asked: Network | str) -> bool:
    """Is `asked` the granted host, or an address within the granted network?"""
    if isinstance(granted, str) or isinstance(asked, str):
        return granted == asked
    if asked.prefixlen != asked.max_prefixlen:
        return False  # a guest cannot connect to a network; this is text that looks like one
    if granted.version == 4 and asked.version == 4:
        return asked.subnet_of(granted)
    return granted.version == 6 and asked.version == 6 and asked.subnet_of(granted)
