"""Change the path while the call is being decided on: what continues must meet the walls."""

import ctypes
import os
import threading
import time

from arms import P, attempt


@attempt
def deed():
    library = ctypes.CDLL(None)
    names = (f"{P['out']}/x", f"{P['other']}/victim.txt")
    good, bad = (name.encode().ljust(200, b"\0") for name in names)
    shared = ctypes.create_string_buffer(good, 200)
    stop = time.monotonic() + 1.5

    def flip():
        while time.monotonic() < stop:
            ctypes.memmove(shared, bad, 200)
            ctypes.memmove(shared, good, 200)

    threading.Thread(target=flip).start()
    while time.monotonic() < stop:
        fd = library.open(shared, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if fd >= 0:
            os.write(fd, b"x")
            os.close(fd)
