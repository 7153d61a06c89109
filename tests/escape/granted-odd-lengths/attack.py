import socket

from arms import P, attempt, in4, native

wanted = in4(P["tcp"])


@attempt
def deed():
    last = None
    for address, size in (
        (in4(P["granted"])[:2] + wanted[2:], 16),
        (wanted + bytes(112), 128),
        (wanted, 15),
        (in4(P["granted"]), 2),
        (bytes(2) + wanted[2:], 16),
        (wanted, 16),
    ):
        fd = native("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
        try:
            native("connect", fd, address, size)
        except OSError as error:
            last = error
    raise last
