import os

from arms import P, attempt, call


@attempt
def deed():
    buffer = bytearray((128).to_bytes(4, "little") + bytes(140))
    import ctypes

    raw = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    number = (ctypes.c_int * 1)()
    call("name_to_handle_at", -100, (P["data"] + "/notes.txt").encode(), raw, number, 0)
    fd = os.open(P["data"], os.O_RDONLY)
    return os.read(call("open_by_handle_at", fd, raw, 0), 9)
