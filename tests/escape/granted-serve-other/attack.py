import socket

from arms import P, any_works, attempt, in4, native


@attempt
def deed():
    def serve(port, host="127.0.0.1", family=socket.AF_INET):
        fd = native("socket", family, socket.SOCK_DGRAM, 0)
        address = in4(port, host)
        if family != socket.AF_INET:
            address = (
                b"\x0a\0" + address[2:4] + bytes(4) + socket.inet_pton(family, host) + bytes(4)
            )
        native("bind", fd, address, len(address))

    return any_works(
        lambda: serve(0),
        lambda: serve(P["granted"], "0.0.0.0"),
        lambda: serve(P["granted"], "127.0.0.9"),
        lambda: serve(P["granted"], "::", socket.AF_INET6),
        lambda: serve(P["granted"], "::ffff:127.0.0.9", socket.AF_INET6),
        lambda: serve(P["granted"] ^ 1),
    )
