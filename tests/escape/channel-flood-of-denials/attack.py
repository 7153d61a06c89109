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
    import time

    fd = out()

    def flood(first):
        number = first
        while True:
            batch = b""
            for _ in range(40):
                number += 1
                name = b"/usr/%08d" % number
                batch += frame(
                    2,
                    1,
                    77,
                    number,
                    b"\x94\xaaos.listdir\x91" + bytes((0xA0 | len(name),)) + name + b"\xc0\xc0",
                )
            os.write(fd, batch)

    for first in (0, 10**7):
        threading.Thread(target=flood, args=(first,), daemon=True).start()
    time.sleep(8)
