import socket

from arms import P, any_works, attempt


@attempt
def deed():
    return any_works(
        lambda: socket.socket(type=socket.SOCK_DGRAM).bind(("127.0.0.1", 0)),
        lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).bind(("::1", 0)),
        lambda: socket.socket(socket.AF_UNIX).bind("\0belljar-mine-" + P["nonce"]),
    )
