import os
import time

from arms import P, attempt


@attempt
def deed():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in range(3):
                os.close(fd)
            for _ in range(60):
                with open(P["out"] + "/beat", "a") as file:
                    file.write("x")
                time.sleep(0.05)
        os._exit(0)
    time.sleep(0.2)
