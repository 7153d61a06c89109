# flags:
# prints: alarm
# prints: usr1
# prints: True interrupted
import os
import signal
import time

signal.signal(signal.SIGALRM, lambda *a: print("alarm"))
signal.signal(signal.SIGUSR1, lambda *a: print("usr1"))
signal.setitimer(signal.ITIMER_REAL, 0.02)
time.sleep(0.1)
os.kill(os.getpid(), signal.SIGUSR1)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print(signal.getsignal(signal.SIGALRM) is not None, "interrupted")
