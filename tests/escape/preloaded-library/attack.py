import os
import subprocess

from arms import P, attempt


@attempt
def deed():
    path = f"{P['data']}/native.so"
    done = subprocess.run(
        ["/bin/echo", "x"], env={"LD_PRELOAD": path, "LD_DEBUG": "libs"}, capture_output=True
    )
    return b"calling init: " + path.encode() in done.stderr
