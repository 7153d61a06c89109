import socket

from arms import attempt, neighbour


@attempt
def deed():
    socket.create_connection(("127.0.0.1", neighbour["port"]), 2)
    return True
