import socket

from arms import P, any_works, attempt, in4, native


@attempt
def deed():
    new = lambda: native("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
    native("connect", new(), in4(P["granted"]), 16)
    return any_works(
        lambda: native("connect", new(), in4(P["tcp"]), 16),
        lambda: native("connect", new(), in4(P["granted"], "127.0.0.2"), 16),
        lambda: native("connect", new(), in4(P["tcp"]) + bytes(112), 128),
        lambda: native("connect", new(), in4(P["tcp"], "0.0.0.0"), 16),
    )
