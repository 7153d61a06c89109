import threading
import time

from arms import attempt


@attempt
def deed():
    kept = [threading.Thread(target=time.sleep, args=(0.5,), daemon=True) for _ in range(60)]
    for thread in kept:
        thread.start()
    return True
