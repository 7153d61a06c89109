"""Network grants -> words for the keeper, the guest's hosts file, and what the names stood for.

A host name is resolved here, once, by the host's own resolver, before the guest exists. All the
addresses it has then are pinned: the keeper connects to them and to no others, and the guest finds
them in its hosts file. Whoever answers DNS later steers nothing.
"""

from __future__ import annotations

import os
import stat

from belljar.errors import PolicyError
from belljar.model import Grant, Policy, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Network, IPv6Network
    from typing import Final

    Network = IPv4Network | IPv6Network

#: More addresses of one name than this are left out: the plan has room for 256.
_MOST: Final = 16
_LONGEST_PATH: Final = 107
#: Bytes of what tells a guest without a hosts file its names (exec_env.c, resolve.c).
_MOST_ANSWERS: Final = 4000
_LOCALHOST: Final = ("127.0.0.1", "::1")
#: Who may come where nobody is named.
_NEAR: Final = ("127.0.0.0/8", "::1")
_WORDS: Final = {
    ("tcp", "connect"): "connect",
    ("udp", "connect"): "datagram",
    ("tcp", "bind"): "bind-to",
    ("udp", "bind"): "serve",
}


class Socket(Value):
    """A granted Unix socket: the guest's name for it, the host's file, and what that was."""

    name: str
    path: str
    stat: os.stat_result

    def words(self) -> tuple[str, ...]:
        return ("local", self.name, self.path, str(self.stat.st_dev), str(self.stat.st_ino))


class Net(Value):
    """`words` for the keeper; `hosts`, the text of the guest's hosts file; `implicit`, one grant
    for each address that a name stands for; `sockets`, to be shown where they were granted;
    `spans`, for each grant which of the keeper's entries it made: right, target, then from and to
    of the addresses, the sockets, the listeners and the places of sockets."""

    words: tuple[str, ...] = ()
    hosts: str = ""
    implicit: tuple[Grant, ...] = ()
    sockets: tuple[Socket, ...] = ()
    spans: tuple[tuple[str, str, tuple[int, ...], tuple[int, ...]], ...] = ()


def plan(policy: Policy, isolated: bool) -> Net:
    """Pin the network of `policy`; `isolated` is False where there are no namespaces.

    Raises `PolicyError` naming the grant: a name without an address, a socket that is none, or
    where this machine cannot give it.
    """
    pins = _Pins(isolated, policy.accept_from)
    spans = []
    for grant in policy.grants:
        if grant.right in ("connect", "bind"):
            before = pins.entries()
            pins.take(grant)
            spans.append((grant.right, grant.target, before, pins.entries()))
    if not pins.words:
        return Net(hosts=hosts({}, []))
    if "bind-to" in pins.words or "serve" in pins.words:
        for peers in policy.accept_from:
            pins.words += _words("accept-from", _parse(peers), "*")
    pins.words += ("connections", str(policy.limits.connections))
    text = hosts(pins.names, sorted(pins.loopback))
    if not isolated and len(answers(text)) > _MOST_ANSWERS:
        raise PolicyError(
            policy.origin("network.connect"),
            "network.connect: too many names where there is no mount namespace; grant addresses",
        )
    return Net(tuple(pins.words), text, tuple(pins.implicit), tuple(pins.sockets), tuple(spans))


class _Pins:
    """What is collected from one grant after the other."""

    def __init__(self, isolated: bool, accept_from: tuple[str, ...]) -> None:
        self.isolated = isolated
        self.accept_from = accept_from
        self.words: list[str] = []
        self.implicit: list[Grant] = []
        self.names: dict[str, list[str]] = {}
        self.loopback: set[str] = set()
        self.sockets: list[Socket] = []

    def entries(self) -> tuple[int, ...]:
        """How many addresses, sockets, listeners and their paths the keeper was told so far."""
        count = self.words.count
        listeners = count("bind-to") + count("serve")
        return count("connect") + count("datagram"), count("local"), listeners, count("local-bind")

    def take(self, grant: Grant) -> None:
        protocol, _, rest = grant.target.partition(":")
        host, _, port = rest.rpartition(":")
        if protocol == "unix" and grant.right == "bind":
            self.words += _place(grant, rest)
            return
        if protocol == "unix":
            if rest not in {one.name for one in self.sockets}:
                self.sockets.append(_socket(grant, rest))
                self.words += self.sockets[-1].words()
            return
        if protocol == "udp":
            self._datagrams(grant, port)
        word = _WORDS[protocol, grant.right]
        network = _literal(host)
        if network is not None:
            self.words += _words(word, network, port)
            if grant.right == "connect":
                self.loopback |= {a for a in _LOCALHOST if _within(a, network)}
            return
        for address in self._resolved(grant, host, rest):
            shown = f"[{address}]" if ":" in address else address
            self.implicit.append(Grant(grant.right, f"{protocol}:{shown}:{port}", grant.origin))
            self.words += _words(word, _parse(address), port)

    def _resolved(self, grant: Grant, host: str, rest: str) -> list[str]:
        if host not in self.names:
            self.names[host] = resolve(grant, host)
        return self.names[host]

    def _datagrams(self, grant: Grant, port: str) -> None:
        if not self.isolated:
            raise PolicyError(
                grant.origin,
                f"{grant.right} = {grant.target}: UDP needs a network namespace, which this "
                "machine does not give: a datagram socket of the host's could send anywhere",
            )
        if grant.right == "bind":
            self._peers(grant)
            return
        if port == "*":
            raise PolicyError(grant.origin, f"connect = {grant.target}: UDP needs a port, not *")
        if "datagram" not in self.words:  # a client may name its own port; it is the guest's alone
            for everywhere in ("0.0.0.0/0", "[::/0]"):
                self.implicit.append(Grant("bind", f"udp:{everywhere}:*", grant.origin))

    def _peers(self, grant: Grant) -> None:
        """A server answers those who may write to it; events do not say that it only answers."""
        for peer in self.accept_from or _NEAR:
            shown = f"[{peer}]" if ":" in peer else peer
            told = Grant("connect", f"udp:{shown}:*", grant.origin)
            if told not in self.implicit:
                self.implicit.append(told)


def _place(grant: Grant, path: str) -> tuple[str, ...]:
    """Where a Unix socket is to be: its directory, as it is now."""
    folder, name = os.path.split(path)
    real = os.path.realpath(folder)
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise PolicyError(grant.origin, f"bind = unix:{path}: too long for a socket (unix(7))")
    try:
        found = os.stat(real)
    except OSError as error:
        raise PolicyError(
            grant.origin, f"bind = unix:{path}: {folder}: {error.strerror}"
        ) from error
    there = os.path.join(real, name)
    if os.path.lexists(there) and not stat.S_ISSOCK(os.lstat(there).st_mode):
        raise PolicyError(grant.origin, f"bind = unix:{path}: something is there that is no socket")
    if not stat.S_ISDIR(found.st_mode):
        raise PolicyError(grant.origin, f"bind = unix:{path}: {folder} is not a directory")
    return ("local-bind", path, real, name, str(found.st_dev), str(found.st_ino))


def _socket(grant: Grant, path: str) -> Socket:
    real = os.path.realpath(path)
    try:
        found = os.stat(real)
    except OSError as error:
        raise PolicyError(grant.origin, f"connect = unix:{path}: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise PolicyError(grant.origin, f"connect = unix:{path}: is not a socket")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise PolicyError(grant.origin, f"connect = unix:{path}: too long for a socket (unix(7))")
    return Socket(path, real, found)


def hosts(names: dict[str, list[str]], loopback: list[str]) -> str:
    """The text of a hosts file (hosts(5)) for names and their addresses. Where only one loopback
    address is granted, `localhost` is that one: programs try them in turn, and each refusal would
    be told as a denial."""
    rows = {"localhost": loopback or list(_LOCALHOST), **names}
    return "".join(f"{address} {name}\n" for name, found in rows.items() for address in found)


def answers(text: str) -> str:
    """A hosts file as the one line that a guest without a view of its own gets (resolve.c).

    >>> answers("127.0.0.1 localhost\\n::1 localhost\\n10.0.0.7 db.test\\n")
    'localhost=127.0.0.1,::1;db.test=10.0.0.7'
    """
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, _, name = line.partition(" ")
        rows.setdefault(name, []).append(address)
    return ";".join(f"{name}={','.join(found)}" for name, found in rows.items())


def resolve(grant: Grant, host: str, look: Callable[[str], list[str]] | None = None) -> list[str]:
    """The addresses of a granted name, as the host's resolver has them now (hosts file, DNS, ...).

    Left out are those that need an interface to mean something and those that name no single
    machine: from a name they would be a surprise. Raises `PolicyError` when none remains.
    """
    try:
        answers = (look or _look)(host)
    except OSError as error:
        why = error.strerror or str(error)
        raise PolicyError(
            grant.origin, f"{grant.right} = {host}: the host cannot resolve it ({why})"
        ) from None
    found: list[str] = []
    strange = ""
    for text in dict.fromkeys(answers):
        if "%" in text:
            continue
        address = _parse(text).network_address
        if address.is_multicast or address.is_unspecified or address.is_link_local:
            strange = str(address)
        elif str(address) not in found:
            found.append(str(address))
    if not found:
        why = f"it stands for {strange}; grant that if it is meant" if strange else "no address"
        raise PolicyError(
            grant.origin, f"{grant.right} = {host}: the host cannot resolve it ({why})"
        )
    return found[:_MOST]


def _look(host: str) -> list[str]:
    import socket

    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in found]


def _literal(host: str) -> Network | None:
    """The network that a canonical grant spells, None for a name."""
    if host.startswith("["):
        return _parse(host[1:-1])
    return _parse(host) if all(c in "0123456789./" for c in host) else None


def _parse(text: str) -> Network:
    """An address or network; what maps IPv4 into IPv6 is the IPv4 it means."""
    from ipaddress import IPv6Network, ip_network

    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ip_network((mapped, network.prefixlen - 96))
    return network


def _within(address: str, network: Network) -> bool:
    from ipaddress import ip_address

    return ip_address(address) in network


def _words(word: str, network: Network, port: str) -> tuple[str, ...]:
    family = "2" if network.version == 4 else "10"
    number = "65536" if port == "*" else port
    shown = network.network_address.packed.hex()
    return (word, family, shown, str(network.prefixlen), number)
