import socket

from arms import P, attempt, in4, native


@attempt
def deed():
    fd = native("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
    native("connect", fd, in4(P["granted"]), 16)
    native("connect", fd, bytes(16), 16)
    native("listen", fd, 5)
    return True
