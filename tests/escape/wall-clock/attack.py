import signal
import time

from arms import attempt


@attempt
def deed():
    for number in set(range(1, 32)) - {9, 19, 10}:
        signal.signal(number, lambda *a: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 64)))
    time.sleep(1.6)
    return True
