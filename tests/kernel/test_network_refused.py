"""With a connection granted, everything beside it stays shut: tried in C calls, on every tier."""

from __future__ import annotations

import socket

from nets import Echo, run
from tiers import Tier

#: Each line of the guest's `tries` is a way round the grant; the first connection is honest.
CODE = r"""
import ctypes, errno, fcntl, os, socket, struct, sys
granted, other, udp, unix = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
libc = ctypes.CDLL(None, use_errno=True)

def c(name, *args):
    ctypes.set_errno(0)
    if getattr(libc, name)(*args) == -1:
        raise OSError(ctypes.get_errno(), name)

def in4(port, host="127.0.0.1", family=socket.AF_INET):
    return struct.pack("=H", family) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)

def tcp(): return socket.socket()
def open_one():
    s = socket.create_connection(("127.0.0.1", granted), 5)
    s.settimeout(None)
    s.sendall(b"granted")
    assert s.recv(9) == b"granted"
    return s

def other_port(): c("connect", tcp().fileno(), in4(other), 16)
def long_address(): c("connect", tcp().fileno(), in4(other) + bytes(112), 128)
def short_address(): c("connect", tcp().fileno(), in4(granted), 4)
def bad_memory(): c("connect", tcp().fileno(), ctypes.c_void_p(1), 16)
def huge_size(): c("connect", tcp().fileno(), in4(granted), -1)
def second_connect(): c("connect", open_one().fileno(), in4(other), 16)
def unspec(): c("connect", open_one().fileno(), in4(0, family=0), 16)
def unspec_then_listen():
    s = open_one()
    try: c("connect", s.fileno(), in4(0, family=0), 16)
    except OSError: pass
    c("listen", s.fileno(), 5)
def autobind_listen(): c("listen", tcp().fileno(), 5)
def bind(): c("bind", tcp().fileno(), in4(0, "0.0.0.0"), 16)
def fast_open(): tcp().sendto(b"escaped", 0x20000000, ("127.0.0.1", other))
def fast_open_message(): tcp().sendmsg([b"escaped"], [], 0x20000000, ("127.0.0.1", other))
def fast_open_option():
    s = tcp()
    s.setsockopt(socket.IPPROTO_TCP, 30, 1)
def named_send(): open_one().sendto(b"escaped", ("127.0.0.1", other)) and None
def datagram(): socket.socket(type=socket.SOCK_DGRAM).sendto(b"escaped", ("127.0.0.1", udp))
def datagram_message():
    socket.socket(type=socket.SOCK_DGRAM).sendmsg([b"escaped"], [], 0, ("127.0.0.1", udp))
def datagram_connected():
    s = socket.socket(type=socket.SOCK_DGRAM); s.connect(("127.0.0.1", udp)); s.send(b"escaped")
def datagram_granted_port():
    s = socket.socket(type=socket.SOCK_DGRAM); s.connect(("127.0.0.1", granted)); s.send(b"escaped")
def mptcp(): socket.socket(proto=262).connect(("127.0.0.1", other))
def sctp(): socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 0).connect(("127.0.0.1", other))
def smc(): socket.socket(43, socket.SOCK_STREAM, 0).connect(("127.0.0.1", other))
def raw(): socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
def packet(): socket.socket(17, socket.SOCK_RAW, 0)
def netlink(): socket.socket(16, socket.SOCK_RAW, 0)
def vsock(): socket.socket(40, socket.SOCK_STREAM, 0)
def pathname(): socket.socket(socket.AF_UNIX).connect(unix)
def abstract(): socket.socket(socket.AF_UNIX).connect("\0" + unix)
def unix_datagram(): socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"escaped", unix)
def not_a_socket(): c("connect", 1, in4(granted), 16)
def no_descriptor(): c("connect", 999, in4(granted), 16)
def interfaces(): fcntl.ioctl(socket.socket(), 0x8912, bytes(40))
def device(): open_one().setsockopt(socket.SOL_SOCKET, 25, b"lo")
def repair(): open_one().setsockopt(socket.IPPROTO_TCP, 19, 1)
def ulp(): open_one().setsockopt(socket.IPPROTO_TCP, 31, b"tls")

tries = [v for k, v in list(globals().items()) if callable(v) and k not in
         ("c", "in4", "tcp", "open_one") and getattr(v, "__module__", "") == "__main__"]
open_one()
for deed in tries:
    try:
        deed()
        print(deed.__name__, 0)
    except OSError as error:
        print(deed.__name__, error.errno and errno.errorcode[error.errno] or type(error).__name__)
open_one()
"""
#: A name on a connected stream is not looked at by the kernel (tcp(7)): nothing else is reached.
HARMLESS = {"named_send"}


def test_a_granted_connection_opens_nothing_else(tier: Tier) -> None:
    with (
        Echo() as granted,
        Echo() as other,
        Echo(kind=socket.SOCK_DGRAM) as udp,
        Echo(str(tier.home / "sock")) as unix,
    ):
        tier.own(tier.home / "sock")
        flags = ["--connect", f"127.0.0.1:{granted.port}", "--import", "ctypes"]
        args = [str(e.port) for e in (granted, other, udp)]
        done = run(tier, flags, CODE, *args, str(tier.home / "sock"))
        assert done.status == 0, done.err
        tried = dict(line.split() for line in done.out.splitlines())
        assert len(tried) == 34
        assert {name for name, error in tried.items() if error == "0"} <= HARMLESS, tried
        assert (other.heard, udp.heard, unix.heard) == ([], [], [])
        assert set(granted.heard) <= {b"granted", b"escaped"}
    (tier.home / "sock").unlink()
