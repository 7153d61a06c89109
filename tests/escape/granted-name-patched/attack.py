"""Answer the question for the granted name oneself, in Python and where C code would look."""

import ctypes
import os
import socket

from arms import P, attempt


@attempt
def deed():
    plain = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **more: plain("127.0.0.2", *rest, **more)
    text = b"BELLJAR_HOSTS=localhost=127.0.0.2"
    os.environ["BELLJAR_HOSTS"] = text.decode().partition("=")[2]
    ctypes.CDLL(None).putenv(text)
    socket.create_connection(("localhost", P["granted"]), 2)
