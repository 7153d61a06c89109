import socket

from arms import attempt, native


@attempt
def deed():
    for family in (socket.AF_INET, socket.AF_INET6):
        fd = native("socket", family, socket.SOCK_STREAM, 0)
        native("listen", fd, 5)
    return True
