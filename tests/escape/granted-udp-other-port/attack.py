import socket

from arms import P, attempt


@attempt
def deed():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(P["nonce"].encode(), ("127.0.0.1", P["udp"]))
