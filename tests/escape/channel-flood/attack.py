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
    import threading

    fd = out()

    def flood(junk):
        while True:
            os.write(fd, junk)

    for junk in (b"BJ" * 2048, b"BJ" * 2047 + b"xx"):
        threading.Thread(target=flood, args=(junk,), daemon=True).start()
    import time

    time.sleep(8)
