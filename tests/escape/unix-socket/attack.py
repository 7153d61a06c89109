import socket

from arms import P, attempt


@attempt
def deed():
    socket.socket(socket.AF_UNIX).connect(P["unix"])
