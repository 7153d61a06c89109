import socket

from arms import P, attempt, native


@attempt
def deed():
    name = b"\1\0\0" + P["abstract"].encode()
    native("connect", native("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0), name, len(name))
