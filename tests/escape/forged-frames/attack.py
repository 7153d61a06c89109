import os
import struct

from arms import P, attempt, channel


def frame(
    kind=2,
    flags=0,
    pid=None,
    seq=1,
    body=b"\x94\xa1x\x90\xc0\xc0",
    length=None,
    magic=0x4A42,
    version=1,
):
    size = 32 + len(body) if length is None else length
    return (
        struct.pack("<HHBBHIIQQ", magic, size, kind, flags, version, pid or os.getpid(), 1, seq, 0)
        + body
    )


def out():
    fd = channel()
    return fd if fd is not None else os.open(P["fifo"], os.O_WRONLY)


@attempt
def deed():
    fd = out()
    hello = b"\x95\xa63.11.7\x01\x91\xa1x\xa4/box\x00"
    for n in range(300):
        os.write(
            fd,
            frame(1, 0, 100000 + n, 0, hello)
            + frame(3, 0, 100000 + n, 0, b"\x91\xcf" + b"\xff" * 8),
        )
        os.write(
            fd,
            frame(1, 0xFF, 5, 0, b"\xdd\xff\xff\xff\xff")
            + frame(2, 1, seq=2**64 - 1, body=b"\x91" * 900),
        )
        os.write(
            fd,
            frame(2, 1, 7, n, b"\xdd\xff\xff\xff\xff") + frame(2, 1, 7, n, b"\xc6\xff\xff\xff\xff"),
        )
        os.write(fd, frame(2, 1, 7, n, b"\x94\xa4open\x93\xd9\x05/\0\xff\xfe\xfd\xa1r\x00\xc0\xc0"))
    print("TRIED", flush=True)
    os._exit(7)
