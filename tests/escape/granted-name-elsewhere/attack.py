import socket

from arms import P, any_works, attempt


@attempt
def deed():
    socket.create_connection(("localhost", P["granted"]), 2).close()
    return any_works(
        lambda: socket.create_connection(("localhost", P["tcp"]), 2),
        lambda: socket.create_connection(("127.0.0.2", P["granted"]), 2),
    )
