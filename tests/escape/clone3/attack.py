import os
import struct

from arms import attempt, call


@attempt
def deed():
    how = struct.pack("=11Q", 0x10000000 | 0x20000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    pid = call("clone3", how, len(how))
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[0] == pid
