import ctypes
import fcntl
import socket
import struct

from arms import any_works, attempt


def by_ioctl():
    s = socket.socket(type=socket.SOCK_DGRAM)
    room = ctypes.create_string_buffer(4096)
    asked = struct.pack("@iP", 4096, ctypes.addressof(room))
    size = struct.unpack_from("@i", fcntl.ioctl(s, 0x8912, asked))[0]
    if not size:
        raise OSError(19, "none")


def by_file():
    open("/proc/net/dev").close()


@attempt
def deed():
    return any_works(by_ioctl, by_file)
