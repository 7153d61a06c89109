import os
import time

from arms import attempt


@attempt
def deed():
    made = 0
    try:
        while made < 60:
            if os.fork() == 0:
                time.sleep(1)
                os._exit(0)
            made += 1
    except OSError:
        pass
    return made == 60
