import socket

from arms import attempt


@attempt
def deed():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    return s.getsockname()[1]
