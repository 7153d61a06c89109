import os
import struct

from arms import P, attempt, call


@attempt
def deed():
    how = struct.pack("=QQQ", os.O_RDONLY, 0, 0)
    fd = call("openat2", -100, P["secret"].encode(), how, len(how))
    print(os.read(fd, 100).decode())
