import socket

from arms import P, any_works, attempt, native


@attempt
def deed():
    address = b"\1\0" + P["unix"].encode() + b"\0"
    return any_works(
        *(
            lambda t=t: native(
                "connect", native("socket", socket.AF_UNIX, t, 0), address, len(address)
            )
            for t in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM, socket.SOCK_RAW)
        )
    )
