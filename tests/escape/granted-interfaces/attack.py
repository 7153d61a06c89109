import fcntl
import socket

from arms import P, attempt


@attempt
def deed():
    s = socket.create_connection(("127.0.0.1", P["granted"]), 2)
    return fcntl.ioctl(s, 0x8933, b"lo".ljust(40, b"\0")) and True
