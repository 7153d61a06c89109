import sys
import time

from arms import P, attempt


@attempt
def deed():
    try:
        with open(P["other"] + "/big", "wb") as file:
            file.write(bytes(1 << 20))
        return False
    except OSError:
        pass
    end, junk = time.monotonic() + 1, "x" * 900
    while time.monotonic() < end:
        sys.audit("junk", junk, junk, junk)
