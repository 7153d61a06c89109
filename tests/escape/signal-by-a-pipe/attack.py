import fcntl
import os
import time

from arms import P, attempt


@attempt
def deed():
    r, w = os.pipe()
    fcntl.fcntl(r, fcntl.F_SETOWN, P["pid"])
    fcntl.fcntl(r, 10, 9)  # F_SETSIG
    fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)
    os.write(w, b"x")
    time.sleep(0.05)
