import socket

from arms import P, attempt


@attempt
def deed():
    s = socket.socket(socket.AF_UNIX)
    s.connect(f"\0belljar-n-{P['nonce']}")
    return True
