"""Granted UDP: ordinary programs use it, and nothing else hears a datagram."""

from __future__ import annotations

import socket

import pytest
from nets import Echo, run, v6
from tiers import Tier

HONEST = r"""
import asyncio, ctypes, os, socket, sys
port, host = int(sys.argv[1]), sys.argv[2]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
def new():
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(10)
    return s

s = new()
s.sendto(b"sendto", (host, port))
data, peer = s.recvfrom(100)
print(data.decode(), peer[:2] == (host, port))
s.sendmsg([b"send", b"msg"], [], 0, (host, port))
print(s.recvmsg(100)[0].decode())
s = new()
s.connect((host, port))
s.send(b"connected")
print(s.recv(100).decode(), s.getpeername()[:2] == (host, port))
s.setblocking(True)
os.write(s.fileno(), b"written")
print(os.read(s.fileno(), 100).decode())
s.sendmsg([b"m" * 30000])
print(len(s.recv(40000)))
s.send(b"")
print(s.recv(10))

class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]
class Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = [("name", ctypes.c_char_p), ("namelen", ctypes.c_uint),
                ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("size", ctypes.c_size_t),
                ("flags", ctypes.c_long), ("sent", ctypes.c_long)]
parts = (Iovec * 2)(Iovec(b"one", 3), Iovec(b"two", 3))
many = (Message * 2)()
for part, message in zip(parts, many):
    message.iov, message.iovlen = ctypes.pointer(part), 1
print(ctypes.CDLL(None).sendmmsg(s.fileno(), many, 2, 0))
s.settimeout(10)
print(sorted((s.recv(10), s.recv(10))))
assert not ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16)  # AF_UNSPEC: no peer any more
s.sendto(b"again", (host, port))
print(s.recvfrom(100)[0].decode())

class Client(asyncio.DatagramProtocol):
    def __init__(self, done): self.done = done
    def connection_made(self, transport): transport.sendto(b"asyncio")
    def datagram_received(self, data, peer): self.done.set_result(data.decode())

async def main():
    done = asyncio.get_running_loop().create_future()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Client(done), remote_addr=(host, port))
    print(await asyncio.wait_for(done, 10))
    transport.close()

asyncio.run(main())
"""
SAID = [
    "sendto True",
    "sendmsg",
    "connected True",
    "written",
    "30000",
    "b''",
    "2",
    "[b'one', b'two']",
    "again",
    "asyncio",
]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_granted_datagrams_go_and_come_back(tier: Tier, host: str) -> None:
    if ":" in host and not v6():
        pytest.skip("no IPv6 on loopback")
    with Echo(host, socket.SOCK_DGRAM) as echo:
        shown = f"[{host}]" if ":" in host else host
        flags = ["--connect", f"udp:{shown}:{echo.port}", "--import", "ctypes"]
        done = run(tier, flags, HONEST, str(echo.port), host)
        if tier.kind == "landlock":
            assert (done.status, done.out, echo.heard) == (125, "", [])
            assert len(done.err.splitlines()) == 1
            assert "UDP needs a network namespace" in done.err
            return
    assert done.out.splitlines() == SAID, done.err
    assert done.result["denials"] == []
    assert done.result["receipt"]["protections"]["network"]["level"] == "full"


def test_a_name_is_granted_for_datagrams_too(tier: Tier) -> None:
    if tier.kind == "landlock":
        pytest.skip("no names and no UDP there")
    code = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.settimeout(10)
s.sendto(b"by name", ("db.example.test", int(sys.argv[1])))
print(s.recv(100).decode())
"""
    with Echo(kind=socket.SOCK_DGRAM) as echo:
        done = run(tier, ["--connect", f"udp:db.example.test:{echo.port}"], code, str(echo.port))
    assert done.out == "by name\n", done.err


REFUSED = r"""
import ctypes, errno, socket, struct, sys
granted, other, stream = (int(a) for a in sys.argv[1:4])
elsewhere = sys.argv[4]
libc = ctypes.CDLL(None, use_errno=True)
def new(family=socket.AF_INET): return socket.socket(family, socket.SOCK_DGRAM)
def connected():
    s = new()
    s.connect(("127.0.0.1", granted))
    return s
class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]
class Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = [("name", ctypes.c_char_p), ("namelen", ctypes.c_uint),
                ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("size", ctypes.c_size_t),
                ("flags", ctypes.c_long), ("sent", ctypes.c_long)]
def in4(port, host="127.0.0.1"):
    return struct.pack("=H", 2) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
def many(s, *names):
    body = ctypes.pointer(Iovec(b"escaped", 7))
    messages = (Message * len(names))(*(Message(name, 16, body, 1) for name in names))
    if libc.sendmmsg(s.fileno(), messages, len(names), 0) < 0:
        raise OSError(ctypes.get_errno(), "sendmmsg")
deeds = (
    lambda: new().sendto(b"escaped", ("127.0.0.1", other)),
    lambda: new().sendto(b"escaped", (elsewhere, granted)),
    lambda: new().sendto(b"escaped", (elsewhere, other)),
    lambda: new().sendmsg([b"escaped"], [], 0, ("127.0.0.1", other)),
    lambda: connected().sendto(b"escaped", ("127.0.0.1", other)),
    lambda: connected().sendmsg([b"escaped"], [], 0, ("127.0.0.1", other)),
    lambda: connected().sendmsg([b"escaped"], [], 0, (elsewhere, other)),
    lambda: many(connected(), in4(other)),
    lambda: many(new(), in4(other), in4(other, elsewhere)),
    lambda: new(socket.AF_INET6).sendto(b"escaped", ("::ffff:127.0.0.1", other)),
    lambda: new().connect(("127.0.0.1", other)),
    lambda: connected().connect((elsewhere, other)),
    lambda: new().sendto(b"escaped", ("0.0.0.0", other)),
    lambda: new().sendto(b"escaped", ("255.255.255.255", other)),
    lambda: new().sendto(b"escaped", ("224.0.0.1", other)),
    lambda: new().bind(("127.0.0.1", other)),
    lambda: socket.socket().connect(("127.0.0.1", stream)),
    lambda: socket.socket().connect(("127.0.0.1", granted)),
    lambda: socket.socket(2, socket.SOCK_DGRAM, 136).sendto(b"escaped", ("127.0.0.1", other)),
)
for deed in deeds:
    try: deed()
    except OSError: pass
s = connected()
s.settimeout(10)
s.send(b"honest")
print(s.recv(100).decode())
"""


def test_no_datagram_goes_where_none_was_granted(tier: Tier) -> None:
    if tier.kind == "landlock":
        pytest.skip("no UDP there")
    with (
        Echo(kind=socket.SOCK_DGRAM) as granted,
        Echo("0.0.0.0", kind=socket.SOCK_DGRAM) as other,
        Echo() as stream,
    ):
        flags = ["--connect", f"udp:127.0.0.1:{granted.port}", "--import", "ctypes"]
        ports = [str(echo.port) for echo in (granted, other, stream)]
        done = run(tier, flags, REFUSED, *ports, own_address())
        assert done.out == "honest\n", done.err
        assert (granted.heard, other.heard, stream.heard) == ([b"honest"], [], [])


def own_address() -> str:
    """An address of this machine that is not loopback, else another loopback one."""
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # sends nothing (RFC 5737)
        except OSError:
            return "127.0.0.2"
        return s.getsockname()[0]


def test_a_flood_of_datagrams_does_not_hold_up_the_end(tier: Tier) -> None:
    if tier.kind == "landlock":
        pytest.skip("no UDP there")
    code = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
while True:
    try: s.sendto(b"x" * 1000, ("127.0.0.1", int(sys.argv[1])))
    except OSError: pass
"""
    with Echo(kind=socket.SOCK_DGRAM) as echo:
        flags = ["--connect", f"udp:127.0.0.1:{echo.port}", "--wall", "1s"]
        done = run(tier, flags, code, str(echo.port))
    assert (done.status, done.result["ended-by"]) == (124, "wall")
    assert done.result["usage"]["wall"] < 4
