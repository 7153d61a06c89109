import socket

from arms import any_works, attempt


@attempt
def deed():
    return any_works(
        lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
        lambda: socket.socket(40, socket.SOCK_STREAM),
        lambda: socket.socket(38, socket.SOCK_SEQPACKET),
    )
