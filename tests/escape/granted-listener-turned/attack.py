"""Bind as granted, then make of the socket what was not granted."""

import socket

from arms import P, attempt, in4, native


@attempt
def deed():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    try:
        native("connect", s.fileno(), bytes(16), 16)
    except OSError:
        pass
    native("connect", s.fileno(), in4(P["tcp"]), 16)
