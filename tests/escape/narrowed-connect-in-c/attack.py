import socket
import struct

from arms import P, any_works, attempt, in4, native

try:
    from belljar.guest import narrow
except ImportError:  # where nothing holds it

    def narrow(**_kept):
        return None


def connect(port):
    native("connect", native("socket", socket.AF_INET, socket.SOCK_STREAM, 0), in4(port), 16)


def widen():
    keeps = struct.pack("=H14s44s", 0, b"belljar keeps", b"\xff" * 44)
    try:
        native("connect", -1, keeps, len(keeps))
    except OSError:
        pass
    connect(P["tcp"])


@attempt
def deed():
    narrow(connect=[f"127.0.0.1:{P['granted']}"], import_=["ctypes"])
    connect(P["granted"])
    return any_works(lambda: connect(P["tcp"]), widen)
