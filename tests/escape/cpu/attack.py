import os
import signal

from arms import attempt


@attempt
def deed():
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 64)))
    while sum(os.times()[:2]) < 2.4:
        pass
    return True
