import socket

from arms import P, any_works, attempt, native


@attempt
def deed():
    folder = P["out"].encode()

    def listen(path):
        fd = native("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)
        native("bind", fd, b"\x01\x00" + path, 2 + len(path))
        native("listen", fd, 5)

    return any_works(
        lambda: listen(folder + b"/other.sock"),
        lambda: listen(folder + b"/./app.sock"),
        lambda: listen(folder + b"/../work/app.sock"),
        lambda: listen(b"app.sock"),
        lambda: listen(b"\0" + folder + b"/app.sock"),
        lambda: listen(b""),
    )
