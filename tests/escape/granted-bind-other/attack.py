import socket

from arms import P, any_works, attempt, in4, native


@attempt
def deed():
    def serve(*address):
        fd = native("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
        if address:
            native("bind", fd, in4(*address), 16)
        native("listen", fd, 5)

    return any_works(
        lambda: serve(),
        lambda: serve(0, "127.0.0.1"),
        lambda: serve(0, "0.0.0.0"),
        lambda: serve(P["granted"], "127.0.0.9"),
    )
