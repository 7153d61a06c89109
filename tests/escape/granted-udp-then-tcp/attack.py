import socket

from arms import P, attempt


@attempt
def deed():
    socket.create_connection(("127.0.0.1", P["tcp"]), 2)
