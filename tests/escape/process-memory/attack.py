import ctypes

from arms import P, attempt, call


@attempt
def deed():
    ctypes.CDLL(None)
    there = ctypes.c_char_p(b"x" * 8)
    vector = (ctypes.c_size_t * 2)(ctypes.cast(there, ctypes.c_void_p).value, 8)
    remote = (ctypes.c_size_t * 2)(0x1000, 0)
    call("process_vm_readv", P["pid"], vector, 1, remote, 1, 0)
    return True
