import socket

from arms import P, attempt


@attempt
def deed():
    s = socket.socket(socket.AF_UNIX)
    s.connect(P["unix"])
    s.settimeout(0.1)
    socket.send_fds(s, [b"take"], [0])
    socket.recv_fds(s, 10, 4)
