import socket

from arms import any_works, attempt


@attempt
def deed():
    return any_works(
        *(
            lambda t=t, p=p: socket.socket(socket.AF_INET, t, p)
            for t, p in (
                (socket.SOCK_STREAM, 262),
                (socket.SOCK_STREAM, 132),
                (socket.SOCK_SEQPACKET, 132),
                (socket.SOCK_DGRAM, 136),
                (socket.SOCK_STREAM, 256),
            )
        )
    )
