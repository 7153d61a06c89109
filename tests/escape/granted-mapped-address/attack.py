import socket
import struct

from arms import P, any_works, attempt, in4, native


def in6(port, host):
    return (
        struct.pack("=H", 10) + struct.pack("!HI", port, 0) + socket.inet_pton(10, host) + bytes(4)
    )


def connect(family, address):
    fd = native("socket", family, socket.SOCK_STREAM, 0)
    native("connect", fd, address, len(address))


@attempt
def deed():
    any_works(
        lambda: connect(10, in6(P["tcp"], "::ffff:127.0.0.1")),
        lambda: connect(10, in6(P["granted"], "::ffff:127.0.0.2")),
        lambda: connect(2, in4(P["tcp"], "0.0.0.0")),
    )
