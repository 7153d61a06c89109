import os
import resource

from arms import attempt


@attempt
def deed():
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
    except (OSError, ValueError):
        pass
    kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]
    return len(kept) == 200
