import ctypes
import os

from arms import P, any_works, attempt, call

words = (ctypes.c_char_p * 6)(b"python", b"-I", b"-S", b"-c", b"print('EFFECT')", None)
file = os.open(P["python"], os.O_RDONLY)


def from_memory():
    fd = call("memfd_create", b"x", 0)
    while os.sendfile(fd, file, None, 1 << 24):
        pass
    call("execveat", fd, b"", words, None, 0x1000)


@attempt
def deed():
    return any_works(from_memory, lambda: call("execveat", file, b"", words, None, 0x1000))
