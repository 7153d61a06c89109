import fcntl
import os
import struct

from arms import P, attempt


@attempt
def deed():
    fd = os.open(f"{P['out']}/file", os.O_CREAT | os.O_RDWR)
    fcntl.ioctl(fd, 0x40086602, struct.pack("=Q", 0x40))  # FS_IOC_SETFLAGS, nodump
    return True
