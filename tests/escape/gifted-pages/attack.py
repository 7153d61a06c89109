import ctypes
import os

from arms import attempt, native


@attempt
def deed():
    r, w = os.pipe()
    room = ctypes.create_string_buffer(4096)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(room), 4096)
    return native("vmsplice", w, vector, 1, 8) == 4096
