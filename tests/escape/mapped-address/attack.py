import socket

from arms import P, attempt


@attempt
def deed():
    s = socket.socket(socket.AF_INET6)
    s.settimeout(2)
    s.connect(("::ffff:127.0.0.1", P["tcp"]))
