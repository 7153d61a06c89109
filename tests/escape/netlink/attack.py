import socket

from arms import attempt


@attempt
def deed():
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).fileno() >= 0
