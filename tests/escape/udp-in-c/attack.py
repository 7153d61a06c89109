import ctypes
import socket

from arms import P, any_works, attempt, in4, native


@attempt
def deed():
    address, data = in4(P["udp"]), P["nonce"].encode()
    fd = native("socket", socket.AF_INET, socket.SOCK_DGRAM, 0)
    vector = (ctypes.c_void_p * 2)(ctypes.cast(data, ctypes.c_void_p).value, len(data))
    message = (ctypes.c_void_p * 7)(
        ctypes.cast(address, ctypes.c_void_p).value, 16, ctypes.addressof(vector), 1, None, 0, 0
    )
    return any_works(
        lambda: native("sendto", fd, data, len(data), 0, address, 16),
        lambda: native("connect", fd, address, 16) or native("send", fd, data, len(data), 0),
        lambda: native("sendmsg", fd, message, 0),
    )
