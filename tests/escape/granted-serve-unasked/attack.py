"""From a granted UDP server's socket, by every call, to somebody who has not written to it."""

import ctypes
import socket

from arms import P, attempt, in4, native


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("namelen", ctypes.c_uint),
        ("iov", ctypes.POINTER(Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_long),
        ("sent", ctypes.c_long),
    ]


@attempt
def deed():
    there, word = in4(P["udp"]), P["nonce"].encode()
    body = Iovec(word, len(word))
    message = Message(there, 16, ctypes.pointer(body), 1)
    fd = native("socket", socket.AF_INET, socket.SOCK_DGRAM, 0)
    native("bind", fd, in4(P["granted"]), 16)
    for way in (
        lambda: native("sendto", fd, word, len(word), 0, there, 16),
        lambda: native("sendmsg", fd, ctypes.byref(message), 0),
        lambda: native("sendmmsg", fd, ctypes.byref(message), 1, 0),
        lambda: native("connect", fd, there, 16),
        lambda: native("send", fd, word, len(word), 0),
    ):
        try:
            way()
        except OSError:
            continue
