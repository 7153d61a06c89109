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
    for junk in (
        b"BJ" * 1000,
        bytes(range(256)) * 4,
        os.urandom(4096),
        b"\0" * 4096,
        frame(length=65535),
        frame(length=3),
        frame(version=9),
        frame(kind=77),
        frame(magic=1),
    ):
        os.write(fd, junk)
    os.write(fd, frame(length=4096))
    print("TRIED", flush=True)
    os._exit(7)
