"""Addresses of every family, with what kind of socket; no socket is asked for anything."""

from __future__ import annotations

import socket

import pytest

from belljar.events.targets import Socket, TypeName

SOCKETS = """
import socket
class Named(socket.socket):
    family = type = property(lambda self: print('GUEST CODE RAN'))
    def __getattribute__(self, name): print('GUEST CODE RAN', name)
def to(address, *how, kind=socket.socket):
    try: s = kind(*how)
    except OSError: return
    calls = socket.socket.connect, socket.socket.bind, lambda s, a: socket.socket.sendto(s, b'', a)
    for call in calls: attempt(call, s, address)
    left.append(s)
left = []
def attempt(act, *a):
    try: act(*a)
    except (OSError, TypeError, OverflowError): pass
"""
ADDRESSES = [
    (("127.0.0.1", 9), ("AF_INET", "SOCK_STREAM"), "127.0.0.1:9"),
    (("127.0.0.1", 9), ("AF_INET", "SOCK_DGRAM"), "udp:127.0.0.1:9"),
    (("", 9), ("AF_INET", "SOCK_DGRAM"), "udp:0.0.0.0:9"),
    (("<broadcast>", 9), ("AF_INET", "SOCK_DGRAM"), "udp:255.255.255.255:9"),
    (("::1", 9, 0, 0), ("AF_INET6", "SOCK_STREAM"), "[::1]:9"),
    (("", 9), ("AF_INET6", "SOCK_STREAM"), "[::]:9"),
    (("fe80::1", 9, 5, 3), ("AF_INET6", "SOCK_DGRAM"), "udp:[fe80::1%3]:9"),
    (("fe80::1%lo", 9), ("AF_INET6", "SOCK_STREAM"), "[fe80::1%lo]:9"),
    ("/nowhere/s", ("AF_UNIX", "SOCK_STREAM"), "unix:/nowhere/s"),
    (b"/nowhere/\xff", ("AF_UNIX", "SOCK_DGRAM"), "unix:/nowhere/\udcff"),
    ("\0hidden", ("AF_UNIX", "SOCK_STREAM"), "unix:@hidden"),
    (b"\0\xff\0", ("AF_UNIX", "SOCK_STREAM"), "unix:@\udcff\0"),
    ("", ("AF_UNIX", "SOCK_STREAM"), None),
    ((0, 1), ("AF_NETLINK", "SOCK_RAW"), "netlink:0:1"),
    (("lo", 0x800), ("AF_PACKET", "SOCK_RAW"), "packet:lo:0x0800"),
    ((1, 1234), ("AF_VSOCK", "SOCK_STREAM"), "vsock:1:1234"),
]


def at_hand(_address, how, _target):
    """Has the kernel this family?"""
    try:
        socket.socket(*(getattr(socket, name) for name in how)).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "how", "target"), [a for a in ADDRESSES if at_hand(*a)], ids=lambda x: str(x)[:24]
)
def test_an_address_is_told_with_its_family(run_code, address, how, target):
    family, kind = (getattr(socket, name) for name in how)
    found = run_code(SOCKETS + f"to({address!r}, {int(family)}, {int(kind)})\n")
    assert (found.status, found.out) == (0, ""), found.err
    told = [e for n in ("connect", "bind", "sendto") for e in found.named(f"socket.{n}")]
    assert told
    assert {e.target for e in told} == {target}
    assert {e.args[0] for e in told} == {Socket("socket", int(family), int(kind))}


def test_sockets_of_any_class_are_asked_nothing(interpreter, record):
    source = SOCKETS + (
        "import os\n"
        "to(('127.0.0.1', 1), socket.AF_INET, socket.SOCK_STREAM, kind=Named)\n"
        "class Fake: family = 2; type = 1\n"
        "class socket: __slots__ = ('family', 'type')\n"
        "fake = socket(); fake.family = 17; fake.type = 1\n"
        "import sys\n"
        "for o in (Fake(), fake, 7, None, Fake, type, 'text'):\n"
        "    sys.audit('socket.connect', o, ('lo', 1))\n"
        "os._exit(0)\n"
    )
    found = record([interpreter, "-I", "-S", "-c", source])
    assert (found.status, found.out) == (0, ""), found.err
    first = found.named("socket.connect")
    assert first[0].args[0] == Socket("Named", 2, 1)
    assert [e.args[0] for e in first[-7:]] == [
        TypeName("Fake"), TypeName("socket"), 7, None, TypeName("type"), TypeName("type"), "text",
    ]  # fmt: skip
    assert {e.target for e in first[-7:]} == {"lo:1"}
