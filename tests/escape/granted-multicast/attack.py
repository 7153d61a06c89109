import socket
import struct

from arms import P, attempt


@attempt
def deed():
    s = socket.create_connection(("127.0.0.1", P["granted"]), 2)
    group = struct.pack("<IIHH4s8s112s", 1, 0, 2, 0, bytes((239, 1, 2, 3)), b"", b"")
    s.setsockopt(socket.IPPROTO_IP, 42, group)  # MCAST_JOIN_GROUP on the host's first interface
    return True
