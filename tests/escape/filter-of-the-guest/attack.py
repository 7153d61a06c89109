import ctypes
import struct

from arms import attempt, call, native


@attempt
def deed():
    native("prctl", 38, 1, 0, 0, 0)
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000), 8)
    head = struct.pack("@HxxxxxxP", 1, ctypes.addressof(code))
    return call("seccomp", 1, 8, head) >= 0
