import fcntl
import os

from arms import attempt


@attempt
def deed():
    held = 0
    for _ in range(120):
        _, w = os.pipe()
        os.set_blocking(w, False)
        fcntl.fcntl(w, 1031, 1 << 20)  # F_SETPIPE_SZ
        held += os.write(w, bytes(1 << 20))
    return held >= 100 << 20
