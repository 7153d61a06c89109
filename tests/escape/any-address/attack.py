import socket

from arms import P, attempt, in4, native


@attempt
def deed():
    fd = native("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
    native("connect", fd, in4(P["tcp"], "0.0.0.0"), 16)
