import ctypes
import mmap
import os

from arms import attempt


@attempt
def deed():
    page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 7)
    page.write(bytes.fromhex("53b814000000cd805bc3"))  # getpid by int 0x80
    place = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(place)() == os.getpid()
